"""Hypothesis strategies for session descriptions."""

from datetime import datetime, timedelta, timezone
from string import ascii_letters, digits

from hypothesis import strategies as st

from tests.support.msrp_strategies import uris
from wigwag.protocols.sdp import (
    Chatroom,
    Connection,
    Direction,
    FileDate,
    FileRange,
    FileSelector,
    FileTransfer,
    Fingerprint,
    MediaTypes,
    MsrpMedia,
    Origin,
    SdpAttribute,
    Setup,
)

_WORD = ascii_letters + digits + "-."


def words() -> st.SearchStrategy[str]:
    """Tokens."""
    return st.text(_WORD, min_size=1, max_size=10)


def values() -> st.SearchStrategy[str]:
    """What may follow the colon of an attribute."""
    characters = st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r\n")
    return st.text(characters, max_size=20)


def attributes() -> st.SearchStrategy[SdpAttribute]:
    """Attributes that nobody knows."""
    return st.builds(SdpAttribute, words().map(lambda name: f"x-{name}"), st.none() | values())


def origins() -> st.SearchStrategy[Origin]:
    """Origins with names and addresses of any kind."""
    numbers = st.integers(0, 2**62)
    return st.builds(Origin.at, words() | st.ip_addresses().map(str), numbers, st.none() | numbers, words())


def media_types() -> st.SearchStrategy[MediaTypes]:
    """Lists of media types with wildcards and parameters."""
    parameters = st.sampled_from(["", ";charset=utf-8", ';charset="a b\\"c"', ";a=b;c=d"])
    plain = st.builds("{}/{}{}".format, words(), words() | st.just("*"), parameters)
    return st.lists(plain | st.just("*"), min_size=1, max_size=5).map(lambda entries: MediaTypes(tuple(entries)))


def fingerprints() -> st.SearchStrategy[Fingerprint]:
    """Fingerprints by functions known and unknown."""
    known = st.builds(Fingerprint, st.just("sha-256"), st.binary(min_size=32, max_size=32))
    return known | st.builds(Fingerprint, st.just("sha3-x"), st.binary(min_size=1, max_size=70))


def file_transfers() -> st.SearchStrategy[FileTransfer]:
    """Descriptions of file transfers."""
    names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
    hashes = st.lists(st.tuples(st.just("sha-1"), st.binary(min_size=1, max_size=20)), max_size=2).map(tuple)
    kinds = st.sampled_from(["text/plain", 'text/plain;charset="utf-8"'])
    selectors = st.builds(
        FileSelector, st.none() | names, st.none() | st.integers(0, 10**19), st.none() | kinds, hashes
    )
    zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
    moments = st.datetimes(datetime(1971, 1, 1), datetime(9998, 1, 1), timezones=zones)
    seconds = st.none() | moments.map(lambda moment: moment.replace(microsecond=0))
    dates = st.builds(FileDate, seconds, seconds, seconds).filter(lambda date: date != FileDate())
    ranges = st.builds(FileRange, st.integers(1, 10**9), st.none() | st.integers(10**9, 10**19))
    return st.builds(
        FileTransfer,
        selector=selectors,
        transfer_id=st.none() | words(),
        disposition=st.none() | st.sampled_from(["render", "attachment"]),
        date=st.none() | dates,
        icon=st.none() | words().map(lambda word: f"cid:{word}@example.com"),
        range=st.none() | ranges,
    )


@st.composite
def msrp_media(draw: st.DrawFn) -> MsrpMedia:
    """MSRP streams with all attributes, whose address and port are given, as in those that were read."""
    path = draw(st.lists(uris().filter(lambda uri: bool(uri.port)), min_size=1, max_size=4))
    return MsrpMedia(
        path=tuple(map(str, path)),
        accept_types=draw(media_types()),
        accept_wrapped_types=draw(st.none() | media_types()),
        max_size=draw(st.none() | st.integers(0, 10**19)),
        setup=draw(st.none() | st.sampled_from(Setup)),
        direction=draw(st.sampled_from(Direction)),
        cema=draw(st.booleans()),
        fingerprints=tuple(draw(st.lists(fingerprints(), max_size=2))),
        chatroom=draw(st.none() | st.lists(words(), max_size=3).map(lambda tokens: Chatroom(tuple(tokens)))),
        file=draw(st.none() | file_transfers()),
        proto=draw(st.sampled_from([f"TCP/{'TLS/' if uri.secure else ''}MSRP" for uri in (path[0], path[-1])])),
        address=draw(words() | st.ip_addresses().map(str)),
        port=draw(st.integers(1, 65_535)),
        others=tuple(draw(st.lists(attributes(), max_size=3))),
    )


@st.composite
def descriptions(draw: st.DrawFn) -> bytes:
    """Descriptions with lines known and unknown, in any order that is allowed, with endings of either kind."""
    known = [f"s={draw(values())}", "t=0 0", "b=AS:64", f"c={Connection.to(draw(words()))}", f"i={draw(values())}"]
    unknown = [f"{draw(st.sampled_from('XyZ'))}={draw(values())}" for _ in range(draw(st.integers(0, 2)))]
    own = [f"a={attribute}" for attribute in draw(st.lists(attributes(), max_size=3))]
    lines = ["v=0", f"o={draw(origins())}", *draw(st.permutations([*known, *unknown, *own]))]
    for stream in draw(st.lists(msrp_media(), max_size=2)):
        lines += [str(line) for line in stream.describe().lines]
        lines += draw(st.sampled_from([[], ["m=audio 49170/2 RTP/AVP 0 8", "a=rtpmap:0 PCMU/8000"]]))
    endings = draw(st.lists(st.sampled_from(["\n", "\r\n"]), min_size=len(lines), max_size=len(lines)))
    text = "".join(line + ending for line, ending in zip(lines, endings, strict=True))
    return (text if draw(st.booleans()) else text.rstrip("\r\n")).encode()
