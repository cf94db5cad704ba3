"""A client at a relay without sockets, and a peer without a relay who is bound to the client's session."""

import re
from dataclasses import dataclass

from tests.support.relay import FakeChannel, FakeClient, RelayUnderTest, body_of, ok_to, send, value_of
from wigwag.relay.config import RelaySettings

PEER = "msrp://peer.invalid:7/p;tcp"


def settings(**values: object) -> RelaySettings:
    """Return settings; ``limits`` is a mapping."""
    return RelaySettings.model_validate(values)


def kind(frame: bytes) -> str:
    """Return a frame's method or status code."""
    return frame.split(b"\r\n", 1)[0].split(b" ")[2].decode()


def kinds(frames: list[bytes]) -> list[str]:
    """Return the methods and status codes of frames."""
    return [kind(frame) for frame in frames]


def flag(frame: bytes) -> str:
    """Return a frame's continuation flag."""
    return chr(frame[-3])


def octets_of(frames: list[bytes]) -> bytes:
    """Return the bodies of frames, put together."""
    return b"".join(body_of(frame) for frame in frames if kind(frame) == "SEND" and b"\r\n\r\n" in frame)


def statuses(frames: list[bytes]) -> list[str]:
    """Return the status codes of the REPORTs among frames."""
    return [(value_of(frame, "Status") or "")[4:7] for frame in frames if kind(frame) == "REPORT"]


def covers(ranges: list[tuple[int, int]], octets: int) -> bool:
    """Tell whether the ranges, all together, cover a message of so many octets."""
    position = 1
    for start, end in sorted(ranges):
        if start <= position:
            position = max(position, end + 1)
    return bool(ranges) and position > octets


def request(method: str, to_path: str, from_path: str, fields: str = "", *, transaction_id: str = "q001") -> bytes:
    """Build a request without a body by hand."""
    head = f"MSRP {transaction_id} {method}\r\nTo-Path: {to_path}\r\nFrom-Path: {from_path}\r\n{fields}"
    return f"{head}-------{transaction_id}$\r\n".encode()


@dataclass
class Pair:
    """Both ends of one session at the relay."""

    under_test: RelayUnderTest
    client: FakeClient
    peer: FakeChannel
    peer_uri: str = PEER

    @property
    def to_client(self) -> str:
        """To-Path of the peer's requests."""
        return f"{self.client.use_path} {self.client.uri}"

    @property
    def to_peer(self) -> str:
        """To-Path of the client's requests."""
        return f"{self.client.use_path} {self.peer_uri}"

    def frame(self, body: bytes | None = b"hello", **how: str) -> bytes:
        """Build a SEND from the peer to the client; ``how`` as for ``send``."""
        return send(self.to_client, self.peer_uri, body, **how)

    def peer_sends(self, body: bytes | None = b"hello", **how: str) -> list[bytes]:
        """Let the peer SEND; returns what it is answered."""
        self.peer.receive(self.frame(body, **how))
        return self.peer.taken()

    def delivered(self) -> list[bytes]:
        """Return what reached the client since the last call."""
        return self.client.channel.taken()

    def delivered_and_answered(self) -> list[bytes]:
        """Let the client answer all that reaches it, until nothing more comes, and return it."""
        frames: list[bytes] = []
        while more := self.delivered():
            frames += more
            self.client.channel.receive(b"".join(ok_to(frame) for frame in more if kind(frame) == "SEND"))
        return frames

    def client_answers(self, frame: bytes, status: str = "200 OK") -> None:
        """Let the client answer a SEND."""
        self.client.channel.receive(ok_to(frame, status))


async def pair(how: RelaySettings | None = None, *, bound: bool = True, peer_uri: str = PEER) -> Pair:
    """Return a client and a peer; ``bound``: the peer has sent its first, empty SEND, whose traces are gone."""
    under_test = RelayUnderTest(how)
    client = await under_test.client()
    found = Pair(under_test, client, under_test.connect(), peer_uri)
    if bound:
        found.peer_sends(None, byte_range="1-0/0", transaction_id="bind", message_id="bind")
        for frame in found.delivered():
            found.client_answers(frame)
    return found


def masked(frames: list[bytes]) -> list[bytes]:
    """Return frames with their transaction identifiers made equal, so that they can be compared."""
    return [frame.replace(frame.split(b" ")[1], b"ID") for frame in frames]


def head_of(frame: bytes) -> bytes:
    """Return the header lines after From-Path."""
    found = re.search(rb"From-Path: [^\r]*\r\n((?:[^\r-][^\r]*\r\n)*)", frame)
    assert found is not None
    return found[1]
