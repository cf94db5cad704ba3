"""Messages out of a stream: Content-Length, keep-alives, limits (RFC 3261 section 18.3, RFC 5626 section 4.4.1)."""

from typing import Final

from .errors import SipError
from .message import Request, Response
from .parsing import LARGEST_BODY, MAX_HEAD, parse_head

PING: Final = b"\r\n\r\n"
PONG: Final = b"\r\n"
_END: Final = b"\r\n\r\n"


class KeepAlive:
    """The peer sent CRLFCRLF and wants CRLF back."""


KEEP_ALIVE: Final = KeepAlive()

Received = Request | Response | KeepAlive | SipError
"""What a stream carries; an error is the last that comes from it."""


class StreamFramer:
    """Cuts a byte stream into messages.

    However the stream is cut into reads, the same comes out; every octet is looked at once, or twice where reads meet.

    Args:
        largest_body: Octets of the largest body that is read.
    """

    __slots__ = ("_buffer", "_failed", "_half_ping", "_head", "_largest_body", "_position", "_searched", "_wanted")

    def __init__(self, largest_body: int = LARGEST_BODY) -> None:
        self._buffer = bytearray()
        self._position = 0
        self._searched = 0
        self._head: Request | Response | None = None
        self._wanted = 0
        self._half_ping = False
        self._failed = False
        self._largest_body = largest_body

    @property
    def mid_message(self) -> bool:
        """Whether a message has begun and not ended: what a deadline for slow senders goes by."""
        return self._head is not None or bool(self._buffer)

    @property
    def buffered(self) -> int:
        """Octets that are held of a message that has not ended."""
        return len(self._buffer)

    @property
    def failed(self) -> bool:
        """Whether an error was returned: nothing more is read."""
        return self._failed

    def receive_data(self, data: bytes) -> list[Received]:
        """Feed bytes; return the messages that are complete.

        A ``SipError`` in the list is its last entry: the stream can't be read on and has to be closed, after
        ``request`` is answered if there is one. What is fed after that is discarded.
        """
        found: list[Received] = []
        if self._failed:
            return found
        self._buffer += data
        try:
            while self._read_one(found):
                pass
        except SipError as error:
            found.append(error)
            self._failed = True
            self._head = None
            self._position = len(self._buffer)
        del self._buffer[: self._position]
        self._searched -= self._position
        self._position = 0
        return found

    def _read_one(self, found: list[Received]) -> bool:
        """Read one message or keep-alive; tell whether there may be another."""
        if self._head is None and not self._read_head(found):
            return False
        head, start = self._head, self._position
        if head is None:
            return True
        end = start + self._wanted
        if len(self._buffer) < end:
            return False
        head.body = bytes(self._buffer[start:end])
        self._advance(end)
        self._head = None
        found.append(head)
        return True

    def _read_head(self, found: list[Received]) -> bool:
        """Read a head or half a keep-alive; tell whether there was one."""
        buffer, start = self._buffer, self._position
        if buffer.startswith(PONG, start):
            if self._half_ping:
                found.append(KEEP_ALIVE)
            self._half_ping = not self._half_ping
            self._advance(start + 2)
            return True
        end = buffer.find(_END, self._searched)
        if end < 0:
            self._searched = max(len(buffer) - 3, start)
            # A head of the largest size may be followed by three of the four octets that end it.
            if len(buffer) - start > MAX_HEAD + 3:
                parse_head(bytes(buffer[start : start + MAX_HEAD + 1]))
            return False
        head = parse_head(bytes(buffer[start : min(end, start + MAX_HEAD + 1)]))
        self._wanted = self._length(head)
        self._head = head
        self._half_ping = False
        self._advance(end + 4)
        return True

    def _advance(self, position: int) -> None:
        self._position = self._searched = position

    def _length(self, head: Request | Response) -> int:
        try:
            length = head.content_length
            if length is None:
                # On a stream nothing else says where the message ends (section 18.3).
                raise SipError("Content-Length is missing")
            if length > self._largest_body:
                raise SipError(f"the body is larger than {self._largest_body}", status=413)
        except SipError as error:
            error.request = head if isinstance(head, Request) else None
            raise
        return length
