"""Hypothesis strategies for Message/CPIM."""

from datetime import timedelta, timezone
from string import ascii_letters, digits

from hypothesis import strategies as st

from wigwag.protocols.cpim import ContentHeader, CpimAddress, CpimHeader, CpimMessage

_WORD = ascii_letters + digits + "-"


def words() -> st.SearchStrategy[str]:
    """Names of headers."""
    return st.text(_WORD, min_size=1, max_size=10)


def texts() -> st.SearchStrategy[str]:
    """Whatever people write."""
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def addresses() -> st.SearchStrategy[CpimAddress]:
    """Addresses with and without a name."""
    uris = st.builds("{}:{}@{}".format, st.sampled_from(["sip", "im", "tel"]), words(), words())
    return st.builds(CpimAddress, uris, st.none() | texts().filter(bool))


def headers() -> st.SearchStrategy[CpimHeader]:
    """Headers that nobody knows."""
    names = words().map(lambda name: f"x.{name}")
    return st.builds(CpimHeader.of, names, texts(), st.none() | st.sampled_from(["en", "de-AT"]))


def messages() -> st.SearchStrategy[CpimMessage]:
    """Messages of every kind."""
    zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
    times = st.datetimes(timezones=zones).map(lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000))
    content = st.builds(ContentHeader, words().map(lambda name: f"X-{name}"), words())
    return st.builds(
        CpimMessage.of,
        addresses(),
        st.lists(addresses(), max_size=3),
        st.sampled_from(["text/plain", "image/png; name=x"]),
        st.binary(max_size=50),
        copies=st.lists(addresses(), max_size=2),
        date_time=st.none() | times,
        subject=st.none() | texts(),
        headers=st.lists(headers(), max_size=3),
        content_headers=st.lists(content, max_size=2),
    )
