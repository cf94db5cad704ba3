"""Session descriptions for tests."""

from collections.abc import Iterable

from wigwag.protocols.sdp import Agreement, MsrpMedia, Origin, Role, SessionDescription, agreed

ALICE = "msrp://alice.example.com:7394/2s93i9ek2a;tcp"
BOB = "msrp://bob.example.com:8493/si438dsaodes;tcp"
RELAY = "msrp://relay.example.com:2855/aGk/x+1=;tcp"
ALICE_ORIGIN = Origin.at("alice.example.com", 2890844526)
BOB_ORIGIN = Origin.at("bob.example.com", 2890844612)


def described(*streams: Iterable[str], session: Iterable[str] = ()) -> SessionDescription:
    """Return a peer's description, made by hand: lines of its session level, then of each stream."""
    head = ["v=0", "o=alice 2890844526 2890844526 IN IP4 alice.example.com", "s= -", "c=IN IP4 alice.example.com"]
    lines = [*head, "t=0 0", *session, *(line for stream in streams for line in stream)]
    return SessionDescription.parse("\r\n".join([*lines, ""]).encode())


def stream(
    *attributes: str, path: str = ALICE, types: str = "text/plain", line: str = "message 7394 TCP/MSRP *"
) -> list[str]:
    """Return the lines of a peer's MSRP stream; an empty path or list of types is left out."""
    lines = [f"m={line}", f"a=accept-types:{types}" if types else "", f"a=path:{path}" if path else ""]
    return [text for text in (*lines, *(f"a={attribute}" for attribute in attributes)) if text]


def own(path: str = BOB) -> MsrpMedia:
    """Return what Bob would take part in."""
    return MsrpMedia(path=tuple(path.split(" ")))


def only(offered: SessionDescription, answered: SessionDescription, role: Role) -> Agreement:
    """Return the one agreement of an offer and its answer."""
    (agreement,) = agreed(offered, answered, role)
    return agreement
