"""Hypothesis strategies for MSRP."""

from string import ascii_letters, ascii_lowercase, digits

from hypothesis import strategies as st

from wigwag.protocols.msrp import ByteRange, MsrpUri, Path, Status

_UNRESERVED = ascii_letters + digits + "-._~"
_TOKEN = ascii_letters + digits + "!#$%&'*+-.^_`{|}~"


def idents() -> st.SearchStrategy[str]:
    """Transaction identifiers and Message-IDs."""
    return st.from_regex(r"[A-Za-z0-9][A-Za-z0-9.\-+%=]{3,31}", fullmatch=True)


def hosts() -> st.SearchStrategy[str]:
    """Names, IPv4 and IPv6 addresses."""
    names = st.text(_UNRESERVED, min_size=1, max_size=30)
    return st.one_of(names, st.ip_addresses().map(str))


def uris() -> st.SearchStrategy[MsrpUri]:
    """MSRP URIs."""
    tokens = st.text(_TOKEN, min_size=1, max_size=8)
    return st.builds(
        MsrpUri,
        scheme=st.sampled_from(["msrp", "msrps"]),
        host=hosts(),
        port=st.none() | st.integers(0, 65535),
        session_id=st.none() | st.text(_UNRESERVED + "+=/", min_size=1, max_size=20),
        transport=st.text(ascii_lowercase + digits, min_size=1, max_size=5),
        user=st.none() | st.text(_UNRESERVED + ":;", max_size=8),
        parameters=st.lists(st.tuples(tokens, st.none() | tokens), max_size=3).map(tuple),
    )


def paths() -> st.SearchStrategy[Path]:
    """Paths of one to four URIs."""
    return st.lists(uris(), min_size=1, max_size=4).map(tuple)


def header_values() -> st.SearchStrategy[str]:
    """Values of extension headers."""
    characters = st.characters(exclude_categories=["Cs"], exclude_characters="\x7f", min_codepoint=0x20)
    return st.text(characters, max_size=20).map(lambda value: value.strip(" \t"))


def extension_fields() -> st.SearchStrategy[list[tuple[str, str]]]:
    """Extension headers: their names begin with X-."""
    names = st.text(_TOKEN, min_size=1, max_size=8).map(lambda name: f"X-{name}")
    return st.lists(st.tuples(names, header_values()), max_size=5)


@st.composite
def byte_ranges(draw: st.DrawFn) -> ByteRange:
    """Byte-Ranges that contradict nothing."""
    start = draw(st.integers(1, 10**9))
    end = draw(st.none() | st.integers(start - 1, start + 10**9))
    total = draw(st.none() | st.integers(max(start, end or 0), start + 10**10))
    return ByteRange(start, end, total)


def statuses() -> st.SearchStrategy[Status]:
    """Values of Status."""
    return st.builds(
        Status, code=st.integers(100, 999), comment=st.none() | header_values(), namespace=st.integers(0, 999)
    )


def bodies() -> st.SearchStrategy[bytes]:
    """Bodies full of what may be taken for framing."""
    teasers = [
        b"\r",
        b"\n",
        b"\r\n",
        b"-------",
        b"\r\n-------",
        b"d93kswow",
        b"$",
        b"+\r\n",
        b"\r\n-------d93kswow",
        b"x",
    ]
    return st.lists(st.sampled_from(teasers) | st.binary(max_size=5), max_size=12).map(b"".join)


def cuts(data: bytes) -> st.SearchStrategy[list[bytes]]:
    """Ways to cut ``data`` into pieces."""
    positions = st.lists(st.integers(0, len(data)), max_size=12).map(sorted)

    def pieces(at: list[int]) -> list[bytes]:
        return [data[start:end] for start, end in zip([0, *at], [*at, len(data)], strict=True)]

    return positions.map(pieces)
