"""Header fields, read lazily and written again byte for byte but for what was changed (RFC 3261 sections 7, 20).

Theory of operation. The head is decoded once (UTF-8, anything else kept by surrogates) and split into lines. A message
is its start line, the canonical names of its fields and their lines as they came, and the body. Values are read when
they are asked for, and most are asked for never. Changing a field replaces its line; every other byte stays.

Whoever writes a field is trusted to know its grammar, but not to have cleaned what a user typed: a line break or NUL
in a name or value is a LocalProtocolError, never a header field of somebody else's making.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from .characters import written_field
from .errors import SipError
from .names import canonical, written
from .parameters import field_value, first_element, split_list
from .values import CSeq, NameAddress, Via, parse_cseq, parse_name_address, parse_number, parse_via

_LARGEST_LENGTH: Final = (1 << 31) - 1


@lru_cache(maxsize=4096)
def _remembered_to(value: str) -> NameAddress:
    """Read a To field; many requests have the same, while each From has a tag of its own."""
    return parse_name_address(value, "To")


class Message:
    """What requests and responses have in common.

    Names of fields are canonical: the long form in lower case. Values that properties return are shared, so they are
    for reading.

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
        """Return the value of the first field of this name, unfolded; None if there is none."""
        if name not in self.names:
            return None
        return field_value(self.lines[self.names.index(name)])

    def get_all(self, name: str) -> list[str]:
        """Return the values of all fields of this name, unfolded, commas left alone."""
        return [field_value(line) for held, line in zip(self.names, self.lines, strict=True) if held == name]

    def items(self, name: str) -> list[str]:
        """Return the elements of a field that is a comma-separated list, over all its lines (section 7.3.1).

        Raises:
            SipError: A quoted string or an angle bracket is not closed.
        """
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
            self._via = parse_via(first_element(self._required("via")))
        return self._via

    @property
    def to(self) -> NameAddress:
        """The To field; SipError if it is missing or malformed."""
        if self._to is None:
            self._to = parse_name_address(self._required("to"), "To")
        return self._to

    @property
    def from_(self) -> NameAddress:
        """The From field; SipError if it is missing or malformed."""
        if self._from is None:
            self._from = parse_name_address(self._required("from"), "From")
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
        count = self.names.count("content-length")
        if count == 0:
            return None
        value = field_value(self.lines[self.names.index("content-length")])
        number = parse_number("Content-Length", value, _LARGEST_LENGTH)
        if count > 1:
            for value in self.get_all("content-length"):
                if parse_number("Content-Length", value, _LARGEST_LENGTH) != number:
                    raise SipError("Content-Length is there twice with different values")
        return number

    @property
    def content_type(self) -> str:
        """Media type in lower case, without parameters; empty if there is none."""
        return (self.get("content-type") or "").partition(";")[0].strip().lower()

    def number(self, name: str, most: int = (1 << 32) - 1) -> int | None:
        """Return a field that is a number; None if it is not there; SipError if it is none or above ``most``."""
        value = self.get(name)
        return None if value is None else parse_number(written(name), value, most)

    def addresses(self, name: str) -> list[NameAddress]:
        """Return the elements of Contact, Route, Record-Route, Path and the like.

        Raises:
            SipError: One of them is malformed.
        """
        where = written(name)
        return [parse_name_address(item, where) for item in self.items(name)]

    def _required(self, name: str) -> str:
        try:
            line = self.lines[self.names.index(name)]
        except ValueError:
            raise SipError(f"{written(name)} is missing") from None
        value = field_value(line)
        if not value:
            raise SipError(f"{written(name)} is empty")
        return value

    def read_mandatory(self) -> None:
        """Read what every message has, in one go: Via, To, From, Call-ID and CSeq.

        Raises:
            SipError: One of them is missing or malformed.
        """
        lines, index = self.lines, self.names.index
        try:
            via = field_value(lines[index("via")])
            self._via = parse_via(first_element(via) if "," in via else via)
            self._to = _remembered_to(field_value(lines[index("to")]))
            self._from = parse_name_address(field_value(lines[index("from")]), "From")
            self._cseq = parse_cseq(field_value(lines[index("cseq")]))
            self._call_id = field_value(lines[index("call-id")])
        except ValueError:
            missing = next(name for name in ("via", "to", "from", "cseq", "call-id") if name not in self.names)
            raise SipError(f"{written(missing)} is missing") from None
        if not self._call_id:
            raise SipError("Call-ID is empty")

    # Changing

    def insert(self, name: str, value: str) -> None:
        """Put a field before the first of its name, or else after all Vias: how Via, Route and others are pushed.

        Raises:
            LocalProtocolError: The name is no token, or the value holds a line break or another control character.
        """
        canon, line = written_field(name, value)
        at = self.names.index(canon) if canon in self.names else self._after_vias()
        self.names.insert(at, canon)
        self.lines.insert(at, line)
        self._forget(canon)

    def push_via(self, via: Via, text: str = "") -> None:
        """Put a Via on top (section 16.6 step 8); it is taken as it is, written as ``text`` if that is at hand."""
        at = self.names.index("via") if "via" in self.names else 0
        self.names.insert(at, "via")
        self.lines.insert(at, f"Via: {text or via}")
        self._via = via

    def replace_via(self, via: Via) -> None:
        """Write the topmost Via anew; it is taken as it is."""
        line = self.lines[self.names.index("via")]
        if "," in line:
            self.replace_item("via", str(via))
        else:
            self.lines[self.names.index("via")] = f"Via: {via}"
        self._via = via

    def append(self, name: str, value: str) -> None:
        """Put a field after all others; LocalProtocolError as for ``insert``."""
        canon, line = written_field(name, value)
        self.names.append(canon)
        self.lines.append(line)

    def set(self, name: str, value: str) -> None:
        """Make this the only field of its name, where the first of them stood, else at the end.

        Raises:
            LocalProtocolError: As for ``insert``.
        """
        canon, line = written_field(name, value)
        if canon not in self.names:
            self.names.append(canon)
            self.lines.append(line)
            return
        at = self.names.index(canon)
        self.lines[at] = line
        self._forget(canon)
        if self.names.count(canon) > 1:
            self._keep(lambda index, held: held != canon or index == at)

    def remove(self, name: str) -> bool:
        """Remove all fields of this name, however they were spelled; tells whether there was one."""
        canon = canonical(name)
        if canon not in self.names:
            return False
        self._keep(lambda _, held: held != canon)
        self._forget(canon)
        return True

    def pop_item(self, name: str) -> str | None:
        """Remove and return the first element of a list field such as Via or Route; None if there is none.

        Raises:
            SipError: A quoted string or an angle bracket is not closed.
        """
        while name in self.names:
            at = self.names.index(name)
            first, *rest = split_list(field_value(self.lines[at])) or [""]
            self._forget(name)
            if rest:
                self.lines[at] = f"{written(name)}: {', '.join(rest)}"
            else:
                del self.names[at], self.lines[at]
            if first:
                return first
        return None

    def replace_item(self, name: str, value: str) -> None:
        """Write the first element of a list field anew; the field has to be there.

        Raises:
            SipError: A quoted string or an angle bracket is not closed.
            LocalProtocolError: As for ``insert``.
        """
        at = self.names.index(name)
        line = self.lines[at]
        rest = split_list(field_value(line))[1:] if "," in line else []
        self.lines[at] = written_field(written(name), ", ".join([value, *rest]) if rest else value)[1]
        self._forget(name)

    def _keep(self, wanted: Callable[[int, str], bool]) -> None:
        kept = [index for index, held in enumerate(self.names) if wanted(index, held)]
        self.names, self.lines = [self.names[i] for i in kept], [self.lines[i] for i in kept]

    def _after_vias(self) -> int:
        if "via" not in self.names:
            return 0
        return len(self.names) - self.names[::-1].index("via")

    def _forget(self, name: str) -> None:
        match name:
            case "via":
                self._via = None
            case "to":
                self._to = None
            case "from":
                self._from = None
            case "cseq":
                self._cseq = None
            case "call-id":
                self._call_id = None

    # Writing

    def __bytes__(self) -> bytes:
        """The message as it goes on the wire; Content-Length is not touched."""
        head = "\r\n".join([self.start_line, *self.lines, "", ""])
        return head.encode("utf-8", "surrogateescape") + self.body

    def set_body(self, body: bytes, content_type: str | None = None) -> None:
        """Replace the body and its Content-Length, and its type if one is given."""
        if content_type is not None:
            self.set("Content-Type", content_type)
        self.set("Content-Length", str(len(body)))
        self.body = body
