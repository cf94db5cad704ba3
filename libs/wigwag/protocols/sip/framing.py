"""Messages out of a stream: Content-Length, keep-alives, limits (RFC 3261 section 18.3, RFC 5626 section 4.4.1)."""

from typing import Final

from .errors import SipError
from .message import LARGEST_BODY, MAX_HEAD, Request, Response, parse_head

PING: Final = b"\r\n\r\n"
PONG: Final = b"\r\n"


class KeepAlive:
    """The peer sent CRLFCRLF and wants CRLF back."""


KEEP_ALIVE: Final = KeepAlive()


class StreamFramer:
    """Cuts a byte stream into messages.

    Args:
        largest_body: Octets of the largest body that is read.
    """

    __slots__ = ("_buffer", "_head", "_largest_body", "_searched", "_wanted")

    def __init__(self, largest_body: int = LARGEST_BODY) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._head: Request | Response | None = None
        self._wanted = 0
        self._largest_body = largest_body

    @property
    def mid_message(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._head is not None or bool(self._buffer)

    def receive_data(self, data: bytes) -> list[Request | Response | KeepAlive]:
        """Feed bytes; return the messages that are complete.

        Raises:
            SipError: The stream can't be read on: it has to be closed, after ``request`` is answered if there is one.
        """
        self._buffer += data
        found: list[Request | Response | KeepAlive] = []
        while self._next(found):
            pass
        return found

    def _next(self, found: list[Request | Response | KeepAlive]) -> bool:
        buffer = self._buffer
        if self._head is None and not self._read_head(found):
            return False
        head = self._head
        if head is None:
            return True
        if len(buffer) < self._wanted:
            return False
        head.body = bytes(buffer[: self._wanted])
        del buffer[: self._wanted]
        self._head = None
        found.append(head)
        return bool(buffer)

    def _read_head(self, found: list[Request | Response | KeepAlive]) -> bool:
        buffer = self._buffer
        if buffer.startswith(b"\r\n"):
            return self._read_keep_alive(found)
        end = buffer.find(b"\r\n\r\n", self._searched)
        if end < 0:
            self._searched = max(len(buffer) - 3, 0)
            if len(buffer) > MAX_HEAD:
                raise SipError("the header is too large", status=513)
            return False
        head = parse_head(bytes(buffer[:end]))
        self._wanted = self._length(head)
        del buffer[: end + 4]
        self._searched = 0
        self._head = head
        return True

    def _read_keep_alive(self, found: list[Request | Response | KeepAlive]) -> bool:
        buffer = self._buffer
        if buffer.startswith(PING):
            found.append(KEEP_ALIVE)
            del buffer[:4]
        elif len(buffer) == 3:
            return False
        else:
            del buffer[:2]
        self._searched = 0
        return bool(buffer)

    def _length(self, head: Request | Response) -> int:
        request = head if isinstance(head, Request) else None
        try:
            length = head.content_length
        except SipError as error:
            error.request = request
            raise
        if length is None:
            # On a stream nothing else says where the message ends (section 18.3).
            raise SipError("Content-Length is missing", request=request)
        if length > self._largest_body:
            raise SipError(f"the body is larger than {self._largest_body}", status=413, request=request)
        return length
