"""MSRP for tests: frames by hand, and endpoints without sockets."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from wigwag.protocols.msrp import (
    BodyReceived,
    ByteRange,
    Connection,
    ConnectionLimits,
    Event,
    FrameEnded,
    FrameEvent,
    FrameParser,
    HeadReceived,
    Limits,
    MessageReceived,
    MsrpUri,
    RequestHead,
    ResponseHead,
    Session,
    SessionTable,
)

ALICE = MsrpUri.parse("msrp://alicepc.example.com:7777/iau39soe2843z;tcp")
BOB = MsrpUri.parse("msrp://bob.example.com:8888/9di4eae923wzd;tcp")
CAROL = MsrpUri.parse("msrp://carol.example.com:9999/kjhd37s2s20w2a;tcp")
RELAY = MsrpUri.parse("msrp://relay.example.com:2855/aGk/x+1=;tcp")


def counting_random() -> Callable[[int], bytes]:
    """Return a source of octets that are all different and the same in every run."""
    count = 0

    def random(octets: int) -> bytes:
        nonlocal count
        count += 1
        return (0x5EED_0000_0000_0000_0000 + count).to_bytes(16, "big")[-octets:]

    return random


def request_frame(
    method: str,
    tid: str,
    headers: Iterable[str],
    body: bytes | None = None,
    *,
    to_path: str = str(BOB),
    from_path: str = str(ALICE),
    flag: str = "$",
) -> bytes:
    """Return a request with exactly these headers after the paths."""
    lines = [f"MSRP {tid} {method}", f"To-Path: {to_path}", f"From-Path: {from_path}", *headers]
    head = "".join(f"{line}\r\n" for line in lines).encode()
    tail = f"-------{tid}{flag}\r\n".encode()
    return head + tail if body is None else head + b"\r\n" + body + b"\r\n" + tail


def send_frame(
    body: bytes | None = b"hello",
    *,
    tid: str = "d93kswow",
    message_id: str = "12339sdqwer",
    byte_range: str | None = "",
    flag: str = "$",
    content_type: str = "text/plain",
    headers: Iterable[str] = (),
    to_path: str = str(BOB),
    from_path: str = str(ALICE),
) -> bytes:
    """Return a SEND; ``byte_range`` is made from the body when empty, left out when None."""
    if byte_range == "":
        octets = len(body or b"")
        byte_range = f"1-{octets}/{octets}"
    lines = [f"Message-ID: {message_id}"]
    if byte_range is not None:
        lines.append(f"Byte-Range: {byte_range}")
    lines += headers
    if body is not None:
        lines.append(f"Content-Type: {content_type}")
    return request_frame("SEND", tid, lines, body, to_path=to_path, from_path=from_path, flag=flag)


def response_frame(tid: str, status: str = "200 OK", *, to_path: str = str(ALICE), from_path: str = str(BOB)) -> bytes:
    """Return a response."""
    lines = [f"MSRP {tid} {status}", f"To-Path: {to_path}", f"From-Path: {from_path}", f"-------{tid}$", ""]
    return "\r\n".join(lines).encode()


def report_frame(
    message_id: str,
    status: str = "000 200 OK",
    byte_range: str | None = None,
    *,
    tid: str = "rep0rt01",
    to_path: str = str(ALICE),
    from_path: str = str(BOB),
) -> bytes:
    """Return a REPORT."""
    lines = [f"Message-ID: {message_id}"]
    if byte_range is not None:
        lines.append(f"Byte-Range: {byte_range}")
    lines.append(f"Status: {status}")
    return request_frame("REPORT", tid, lines, to_path=to_path, from_path=from_path)


def parse_pieces(pieces: Iterable[bytes], limits: Limits | None = None) -> list[FrameEvent]:
    """Feed the pieces one after the other to a new parser; return all events, adjacent octets of a body joined."""
    parser = FrameParser(limits)
    joined: list[FrameEvent] = []
    for piece in pieces:
        position = 0
        while position < len(piece):
            events, position = parser.feed(piece, position)
            for event in events:
                last = joined[-1] if joined else None
                if isinstance(event, BodyReceived) and isinstance(last, BodyReceived):
                    joined[-1] = BodyReceived(last.data + event.data)
                else:
                    joined.append(event)
    return joined


@dataclass(frozen=True)
class Frame:
    """One frame that somebody wrote."""

    head: RequestHead | ResponseHead
    body: bytes
    flag: str

    @property
    def request(self) -> RequestHead:
        assert isinstance(self.head, RequestHead)
        return self.head

    @property
    def response(self) -> ResponseHead:
        assert isinstance(self.head, ResponseHead)
        return self.head

    @property
    def byte_range(self) -> ByteRange:
        assert self.request.byte_range is not None
        return self.request.byte_range

    @property
    def kind(self) -> str:
        """The method of a request, the status code of a response."""
        return self.head.method if isinstance(self.head, RequestHead) else str(self.head.status_code)


def frames_of(data: bytes) -> list[Frame]:
    """Return the frames of ``data``, which has to consist of whole ones."""
    frames: list[Frame] = []
    head: RequestHead | ResponseHead | None = None
    body = b""
    for event in parse_pieces([data]):
        match event:
            case HeadReceived(started):
                assert head is None
                head, body = started, b""
            case BodyReceived(octets):
                body = octets
            case FrameEnded(flag):
                assert head is not None
                frames.append(Frame(head, body, flag))
                head = None
            case _:
                raise AssertionError(f"malformed frame written: {event}")
    assert head is None
    return frames


class Endpoint:
    """An engine with one session, its clock, and everything it reported."""

    def __init__(
        self,
        local_uri: MsrpUri = BOB,
        remote_path: tuple[MsrpUri, ...] = (ALICE,),
        *,
        passive: bool = True,
        accept_types: tuple[str, ...] = ("*",),
        max_size: int | None = None,
        limits: ConnectionLimits | None = None,
        sessions: SessionTable | None = None,
    ) -> None:
        self.now = 1000.0
        self.events: list[Event] = []
        self.connection = Connection(counting_random(), self.now, sessions, limits)
        self.session = Session(
            local_uri=local_uri,
            remote_path=remote_path,
            passive=passive,
            accept_types=accept_types,
            max_size=max_size,
        )
        self.connection.add_session(self.session)

    def receive(self, data: bytes) -> list[Event]:
        """Feed bytes; return the events."""
        events = self.connection.receive_data(data, self.now)
        self.events += events
        return events

    def write(self, max_bytes: int = 65_536) -> bytes:
        """Take what is to be sent, once."""
        return b"".join(self.connection.data_to_send(self.now, max_bytes))

    def written(self) -> list[Frame]:
        """Take all that is to be sent."""
        frames: list[Frame] = []
        while data := self.write():
            frames += frames_of(data)
        return frames

    def kinds(self) -> list[str]:
        """Take all that is to be sent; return methods and status codes."""
        return [frame.kind for frame in self.written()]

    def wait(self, seconds: float) -> list[Event]:
        """Let time pass; return the events."""
        end = self.now + seconds
        events: list[Event] = []
        while (deadline := self.connection.next_timeout()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            events += self.connection.handle_timeout(self.now)
        self.now = end
        self.events += events
        return events

    def bodies(self) -> list[bytes]:
        """Return the bodies of the messages received whole so far."""
        return [event.body for event in self.events if isinstance(event, MessageReceived)]


def sender(**arguments: object) -> Endpoint:
    """Return an active endpoint, Alice, that has sent its greeting and had it answered."""
    endpoint = Endpoint(ALICE, (BOB,), passive=False, **arguments)  # type: ignore[arg-type]
    for frame in endpoint.written():
        endpoint.receive(response_frame(frame.head.transaction_id))
    return endpoint


def exchange(one: Endpoint, other: Endpoint, max_bytes: int = 65_536) -> None:
    """Pass bytes between two endpoints until neither has anything to say."""
    while True:
        there, back = one.write(max_bytes), other.write(max_bytes)
        if not there and not back:
            break
        if there:
            other.receive(there)
        if back:
            one.receive(back)
    one.wait(0)
    other.wait(0)
