"""Requests and responses (RFC 3261 section 7)."""

from collections.abc import Iterable
from typing import Final, Self

from wigwag.errors import LocalProtocolError

from .characters import without_control
from .errors import SipError
from .fields import Message
from .names import TOKEN
from .parameters import printable
from .values import parse_number

__all__ = ["Message", "Request", "Response"]

_ONCE: Final = frozenset({"from", "to", "call-id", "cseq"})


class Request(Message):
    """A request.

    Args:
        method: Case-sensitive.
        uri: Request-URI as written.
        names: Canonical names of ``lines``.
        lines: Header fields as they stand.
        body: Octets of the body.
        start_line: As it came; None: made of method and URI.
    """

    __slots__ = ("_hops", "method", "uri")

    def __init__(
        self,
        method: str,
        uri: str,
        names: list[str],
        lines: list[str],
        body: bytes = b"",
        start_line: str | None = None,
    ) -> None:
        # Written out, not inherited: it runs twice for each request that is passed on.
        self.start_line = start_line or f"{method} {uri} SIP/2.0"
        self.names = names
        self.lines = lines
        self.body = body
        self._via = self._to = self._from = self._cseq = self._call_id = None
        self.method = method
        self.uri = uri
        """Request-URI as written."""
        self._hops = -1

    @classmethod
    def create(cls, method: str, uri: str, fields: Iterable[tuple[str, str]], body: bytes = b"") -> Self:
        """Return a request of these fields, in this order; Content-Length is added.

        Raises:
            LocalProtocolError: The method is no token, or the URI or a field holds what can't stand there.
        """
        if TOKEN.fullmatch(method) is None:
            raise LocalProtocolError(f"a method can't be called {method[:40]!r}")
        made = cls(method, _checked(uri), [], [], body)
        for name, value in fields:
            made.append(name, value)
        made.append("Content-Length", str(len(body)))
        return made

    def set_uri(self, uri: str) -> None:
        """Give it another Request-URI; LocalProtocolError if it holds a blank or what is not visible ASCII."""
        self.uri = _checked(uri)
        self.start_line = f"{self.method} {uri} SIP/2.0"

    @property
    def max_forwards(self) -> int | None:
        """The Max-Forwards field, None without one; SipError if it is no number of at most 255.

        It is read once: whoever changes the field changes a copy.
        """
        if self._hops < 0:
            value = self.get("max-forwards")
            if value is None:
                return None
            self._hops = parse_number("Max-Forwards", value, 255)
        return self._hops

    def forwarded(self, uri: str, hops: int) -> "Request":
        """Return a copy for another target (section 16.6 steps 1 to 3).

        Args:
            uri: Its Request-URI; LocalProtocolError if it holds a blank or what is not visible ASCII.
            hops: Its Max-Forwards.
        """
        start_line = self.start_line if uri == self.uri else f"{self.method} {_checked(uri)} SIP/2.0"
        made = Request(self.method, uri, self.names.copy(), self.lines.copy(), self.body, start_line)
        made._to, made._from, made._cseq, made._call_id = self._to, self._from, self._cseq, self._call_id
        if "max-forwards" in made.names:
            made.lines[made.names.index("max-forwards")] = f"Max-Forwards: {hops}"
        else:
            made.names.append("max-forwards")
            made.lines.append(f"Max-Forwards: {hops}")
        return made

    def copy(self) -> "Request":
        """Return a copy that can be changed by itself; the body is shared."""
        made = Request(self.method, self.uri, self.names.copy(), self.lines.copy(), self.body, self.start_line)
        made._to, made._from, made._cseq, made._call_id = self._to, self._from, self._cseq, self._call_id
        return made


class Response(Message):
    """A response.

    Args:
        status: 100 to 699.
        reason: Reason phrase; control characters become blanks.
        names: Canonical names of ``lines``.
        lines: Header fields as they stand.
        body: Octets of the body.
        start_line: As it came; None: made of status and reason.
    """

    __slots__ = ("reason", "status")

    def __init__(
        self,
        status: int,
        reason: str,
        names: list[str],
        lines: list[str],
        body: bytes = b"",
        start_line: str | None = None,
    ) -> None:
        if start_line is None:
            reason = printable(reason)
            start_line = f"SIP/2.0 {status} {reason}"
        super().__init__(start_line, names, lines, body)
        self.status = status
        self.reason = reason

    @classmethod
    def to_request(
        cls,
        request: Request,
        status: int,
        reason: str,
        *,
        to_tag: str | None = None,
        fields: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Self:
        """Return a response (RFC 3261 section 8.2.6).

        Args:
            request: What it answers; only half of it may be there, or some of it twice.
            status: 100 to 699.
            reason: Reason phrase; line breaks become blanks.
            to_tag: Added to To if that has no tag; not for 100.
            fields: More fields.
            body: Goes with a Content-Type among ``fields``.

        Raises:
            LocalProtocolError: A field holds what can't stand there.
        """
        made = cls(status, reason, [], [], body)
        copied = made.names
        for name, line in zip(request.names, request.lines, strict=True):
            if name == "via" or (name in _ONCE and name not in copied) or (name == "timestamp" and status == 100):
                if name == "to" and to_tag and status > 100 and not _has_tag(request):
                    line += f";tag={to_tag}"
                copied.append(name)
                made.lines.append(without_control(line))
        for name, value in fields:
            made.append(name, value)
        made.append("Content-Length", str(len(body)))
        return made

    def copy(self) -> "Response":
        """Return a copy that can be changed by itself; the body is shared."""
        made = Response(self.status, self.reason, self.names.copy(), self.lines.copy(), self.body, self.start_line)
        made._to, made._from, made._cseq, made._call_id = self._to, self._from, self._cseq, self._call_id
        return made


def _checked(uri: str) -> str:
    if not uri or not uri.isascii() or not uri.isprintable() or " " in uri:
        raise LocalProtocolError(f"a Request-URI can't be {uri[:40]!r}")
    return uri


def _has_tag(request: Request) -> bool:
    try:
        return request.to.tag is not None
    except SipError:
        return True
