"""SIP messages: read lazily, written again byte for byte but for what was changed (RFC 3261 sections 7, 20).

Theory of operation. The head is decoded once (UTF-8, anything else kept by surrogates) and split into lines. A message
is its start line, the canonical names of its fields and their lines as they came, and the body. Values are read when
they are asked for, and most are asked for never. Changing a field replaces its line; every other byte stays.
"""

import re
from typing import Final, Self

from .errors import SipError
from .names import canonical, written
from .values import FOLD, CSeq, NameAddress, Via, parse_cseq, parse_name_address, parse_number, parse_via, split_list

MAX_HEAD: Final = 65_536
"""Octets of the start line and all fields."""
MAX_FIELDS: Final = 256
LARGEST_BODY: Final = 1_048_576

_REQUEST_LINE: Final = re.compile(r"([A-Za-z0-9\-.!%*_+`'~]+) ([^\s]+) SIP/([0-9]+\.[0-9]+)", re.IGNORECASE)
_STATUS_LINE: Final = re.compile(r"SIP/([0-9]+\.[0-9]+) ([0-9]{3}) ?([^\r\n]*)", re.IGNORECASE)
# No control character may stand in a head but the line ends and tabs.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SINGLE: Final = ("call-id", "cseq", "from", "to")


class Message:
    """What requests and responses have in common.

    Attributes:
        start_line: Without its line end.
        names: Canonical names of the fields, in order.
        lines: The fields as they stand, without their line ends; a folded field is one entry.
        body: As it came.
    """

    __slots__ = ("_call_id", "_cseq", "_from", "_to", "_via", "body", "lines", "names", "start_line")

    def __init__(self, start_line: str, names: list[str], lines: list[str], body: bytes) -> None:
        self.start_line = start_line
        self.names = names
        self.lines = lines
        self.body = body
        self._via: Via | None = None
        self._to: NameAddress | None = None
        self._from: NameAddress | None = None
        self._cseq: CSeq | None = None
        self._call_id: str | None = None

    # Reading

    def get(self, name: str) -> str | None:
        """Return the value of the first field of this canonical name, unfolded; None if there is none."""
        try:
            line = self.lines[self.names.index(name)]
        except ValueError:
            return None
        return _value(line)

    def get_all(self, name: str) -> list[str]:
        """Return the values of all fields of this name, unfolded, commas left alone."""
        return [_value(line) for held, line in zip(self.names, self.lines, strict=True) if held == name]

    def items(self, name: str) -> list[str]:
        """Return the elements of a field that is a comma-separated list, over all its lines (section 7.3.1)."""
        found: list[str] = []
        for value in self.get_all(name):
            found += split_list(value)
        return found

    def __contains__(self, name: str) -> bool:
        return name in self.names

    @property
    def via(self) -> Via:
        """The topmost Via.

        Raises:
            SipError: There is none, or it is malformed.
        """
        if self._via is None:
            value = self._required("via")
            if "," in value:
                value = split_list(value)[0]
            self._via = parse_via(value)
        return self._via

    @property
    def to(self) -> NameAddress:
        """The To field; SipError if it is missing or malformed."""
        if self._to is None:
            self._to = parse_name_address(self._required("to"))
        return self._to

    @property
    def from_(self) -> NameAddress:
        """The From field; SipError if it is missing or malformed."""
        if self._from is None:
            self._from = parse_name_address(self._required("from"))
        return self._from

    @property
    def cseq(self) -> CSeq:
        """The CSeq field; SipError if it is missing or malformed."""
        if self._cseq is None:
            self._cseq = parse_cseq(self._required("cseq"))
        return self._cseq

    @property
    def call_id(self) -> str:
        """The Call-ID field; SipError if it is missing or empty."""
        if self._call_id is None:
            self._call_id = self._required("call-id")
        return self._call_id

    @property
    def content_length(self) -> int | None:
        """The Content-Length field, None without one.

        Raises:
            SipError: It is no number, or there are several that differ.
        """
        values = self.get_all("content-length")
        if not values:
            return None
        numbers = {parse_number("Content-Length", value, 1 << 40) for value in values}
        if len(numbers) > 1:
            raise SipError("Content-Length is there twice with different values")
        return numbers.pop()

    @property
    def content_type(self) -> str:
        """Media type in lower case, without parameters; empty if there is none."""
        return (self.get("content-type") or "").partition(";")[0].strip().lower()

    def number(self, name: str, most: int = (1 << 32) - 1) -> int | None:
        """Return a field that is a number; None if it is not there; SipError if it is none or above ``most``."""
        value = self.get(name)
        return None if value is None else parse_number(written(name), value.strip(), most)

    def addresses(self, name: str) -> list[NameAddress]:
        """Return the elements of Contact, Route, Record-Route, Path and the like.

        Raises:
            SipError: One of them is malformed.
        """
        return [parse_name_address(item) for item in self.items(name)]

    def _required(self, name: str) -> str:
        value = self.get(name)
        if not value:
            raise SipError(f"{written(name)} is missing")
        return value

    # Changing

    def insert(self, name: str, value: str) -> None:
        """Put a field before the first of its name, or else after all Vias: how Via, Route and others are pushed."""
        canon = canonical(name)
        assert canon is not None
        try:
            at = self.names.index(canon)
        except ValueError:
            at = self._after_vias()
        self.names.insert(at, canon)
        self.lines.insert(at, f"{name}: {value}")
        if canon == "via":
            self._via = None

    def append(self, name: str, value: str) -> None:
        """Put a field after all others."""
        canon = canonical(name)
        assert canon is not None
        self.names.append(canon)
        self.lines.append(f"{name}: {value}")

    def set(self, name: str, value: str) -> None:
        """Make this the only field of its name, where the first of them stood, else at the end."""
        canon = canonical(name)
        assert canon is not None
        if canon not in self.names:
            self.append(name, value)
            return
        at = self.names.index(canon)
        self.lines[at] = f"{name}: {value}"
        self._forget(canon)
        if self.names.count(canon) > 1:
            kept = [i for i, held in enumerate(self.names) if held != canon or i == at]
            self.names, self.lines = [self.names[i] for i in kept], [self.lines[i] for i in kept]

    def remove(self, name: str) -> bool:
        """Remove all fields of this canonical name; tells whether there was one."""
        if name not in self.names:
            return False
        kept = [i for i, held in enumerate(self.names) if held != name]
        self.names, self.lines = [self.names[i] for i in kept], [self.lines[i] for i in kept]
        self._forget(name)
        return True

    def pop_item(self, name: str) -> str | None:
        """Remove and return the first element of a list field such as Via or Route; None if there is none."""
        try:
            at = self.names.index(name)
        except ValueError:
            return None
        self._forget(name)
        first, *rest = split_list(_value(self.lines[at])) or [""]
        if rest:
            self.lines[at] = f"{written(name)}: {', '.join(rest)}"
        else:
            del self.names[at], self.lines[at]
        return first

    def replace_item(self, name: str, value: str) -> None:
        """Write the first element of a list field anew."""
        at = self.names.index(name)
        self._forget(name)
        line = self.lines[at]
        rest = split_list(_value(line))[1:] if "," in line else []
        self.lines[at] = f"{written(name)}: {', '.join([value, *rest])}"

    def _after_vias(self) -> int:
        at = 0
        for index, name in enumerate(self.names):
            if name == "via":
                at = index + 1
        return at

    def _forget(self, name: str) -> None:
        if name == "via":
            self._via = None
        elif name == "to":
            self._to = None
        elif name == "from":
            self._from = None
        elif name == "cseq":
            self._cseq = None
        elif name == "call-id":
            self._call_id = None

    # Writing

    def __bytes__(self) -> bytes:
        """The message as it goes on the wire; Content-Length is not touched."""
        head = "\r\n".join([self.start_line, *self.lines]) + "\r\n\r\n"
        return head.encode("utf-8", "surrogateescape") + self.body

    def set_body(self, body: bytes, content_type: str | None = None) -> None:
        """Replace the body and its Content-Length, and its type if one is given."""
        self.body = body
        if content_type is not None:
            self.set("Content-Type", content_type)
        self.set("Content-Length", str(len(body)))


class Request(Message):
    """A request."""

    __slots__ = ("method", "uri")

    def __init__(self, method: str, uri: str, names: list[str], lines: list[str], body: bytes = b"") -> None:
        super().__init__(f"{method} {uri} SIP/2.0", names, lines, body)
        self.method = method
        self.uri = uri
        """Request-URI as written."""

    @classmethod
    def create(cls, method: str, uri: str, fields: "list[tuple[str, str]]", body: bytes = b"") -> Self:
        """Return a request of these fields, in this order; Content-Length is added."""
        made = cls(method, uri, [], [], body)
        for name, value in fields:
            made.append(name, value)
        made.append("Content-Length", str(len(body)))
        return made

    def set_uri(self, uri: str) -> None:
        """Give it another Request-URI."""
        self.uri = uri
        self.start_line = f"{self.method} {uri} SIP/2.0"

    def copy(self) -> "Request":
        """Return a copy that can be changed by itself; the body is shared."""
        return Request(self.method, self.uri, self.names.copy(), self.lines.copy(), self.body)


class Response(Message):
    """A response."""

    __slots__ = ("reason", "status")

    def __init__(self, status: int, reason: str, names: list[str], lines: list[str], body: bytes = b"") -> None:
        super().__init__(f"SIP/2.0 {status} {reason}", names, lines, body)
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
        fields: "list[tuple[str, str]] | tuple[tuple[str, str], ...]" = (),
        body: bytes = b"",
    ) -> Self:
        """Return a response (RFC 3261 section 8.2.6).

        Args:
            request: What it answers; only half of it may be there.
            status: 100 to 699.
            reason: Reason phrase; line breaks become spaces.
            to_tag: Added to To if that has no tag; not for 100.
            fields: More fields.
            body: Goes with a Content-Type among ``fields``.
        """
        made = cls(status, " ".join(reason.split()), [], [], body)
        for name, line in zip(request.names, request.lines, strict=True):
            if name in _COPIED or (name == "timestamp" and status == 100):
                if name == "to" and to_tag and status > 100 and not _has_tag(request):
                    line += f";tag={to_tag}"
                made.names.append(name)
                made.lines.append(line)
        for name, value in fields:
            made.append(name, value)
        made.append("Content-Length", str(len(body)))
        return made

    def copy(self) -> "Response":
        """Return a copy that can be changed by itself."""
        return Response(self.status, self.reason, self.names.copy(), self.lines.copy(), self.body)


_COPIED: Final = frozenset({"via", "from", "to", "call-id", "cseq"})


def _has_tag(request: Request) -> bool:
    try:
        return request.to.tag is not None
    except SipError:
        return True


def _value(line: str) -> str:
    value = line.partition(":")[2]
    if "\n" in value:
        value = FOLD.sub(" ", value)
    return value.strip(" \t")


def parse_head(head: bytes) -> Request | Response:
    """Read a start line and header fields, without the empty line that ends them.

    Raises:
        SipError: They are malformed; ``request`` holds what could be read, if it can be answered.
    """
    if len(head) > MAX_HEAD:
        raise SipError("the header is too large", status=513)
    text = head.decode("utf-8", "surrogateescape")
    lines = text.split("\r\n")
    start = lines.pop(0)
    message = _started(start)
    folded = "\r\n " in text or "\r\n\t" in text
    if folded:
        lines = _joined(lines)
    names = message.names
    message.lines = lines
    broken = None
    for line in lines:
        name, colon, _ = line.partition(":")
        known = canonical(name) if colon else None
        if known is None:
            broken = SipError(f"a header field is malformed: {name[:40]!r}")
            known = ""
        names.append(known)
    if broken is None:
        broken = _forbidden_characters(text)
    if broken is None and len(names) > MAX_FIELDS:
        broken = SipError(f"more than {MAX_FIELDS} header fields", status=513)
    if broken is not None:
        broken.request = message if isinstance(message, Request) else None
        raise broken
    return message


def _started(line: str) -> Request | Response:
    match = _REQUEST_LINE.fullmatch(line)
    if match is not None:
        request = Request(match[1], match[2], [], [])
        request.start_line = line
        if match[3] != "2.0":
            raise SipError(f"SIP version {match[3][:10]} is not supported", status=505, request=request)
        return request
    match = _STATUS_LINE.fullmatch(line)
    if match is None or match[1] != "2.0" or not 100 <= int(match[2]) <= 699:
        raise SipError("the start line is neither a request's nor a response's")
    response = Response(int(match[2]), match[3], [], [])
    response.start_line = line
    return response


def _joined(lines: list[str]) -> list[str]:
    """Join continuation lines to the field that they continue (section 7.3.1)."""
    joined: list[str] = []
    for line in lines:
        if line[:1] in (" ", "\t") and joined:
            joined[-1] += "\r\n" + line
        else:
            joined.append(line)
    return joined


def _forbidden_characters(text: str) -> SipError | None:
    if text.count("\n") != text.count("\r\n") or text.count("\r") != text.count("\r\n"):
        return SipError("a line ends without CRLF")
    return SipError("a control character stands in the header") if _CONTROL.search(text) else None


def parse_datagram(data: bytes) -> Request | Response:
    """Read the message of one datagram or WebSocket message.

    Content-Length may be missing: then the body is the rest; what lies beyond it is discarded (sections 18.3, 20.14).

    Raises:
        SipError: It is malformed.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        raise SipError("the header does not end")
    message = parse_head(data[:end])
    try:
        length = message.content_length
    except SipError as error:
        error.request = message if isinstance(message, Request) else None
        raise
    body = data[end + 4 :]
    if length is not None and length != len(body):
        if length > len(body):
            request = message if isinstance(message, Request) else None
            raise SipError("Content-Length is larger than the message", request=request)
        body = body[:length]
    message.body = body
    return message


def validate(message: Request | Response) -> None:
    """Check what every element checks before it does anything with a message (RFC 3261 sections 8.1.1, 8.2, 16.3).

    Raises:
        SipError: With the status that the sender is to hear.
    """
    try:
        _check(message)
    except SipError as error:
        if error.request is None and isinstance(message, Request):
            error.request = message
        raise


def _check(message: Request | Response) -> None:
    names = message.names
    for name in _SINGLE:
        if names.count(name) != 1:
            raise SipError(f"{written(name)} is missing" if name not in names else f"{written(name)} is there twice")
    via, cseq = message.via, message.cseq
    del via
    message.to  # noqa: B018 - reading it checks it
    message.from_  # noqa: B018
    message.call_id  # noqa: B018
    if isinstance(message, Request):
        if cseq.method != message.method:
            raise SipError("CSeq names another method than the request line")
        message.number("max-forwards", 255)
