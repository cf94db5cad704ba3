"""Message headers: one line each, kept to the octet (RFC 3862 sections 2.2, 3.1 to 3.3 and 3.6)."""

import re
from dataclasses import dataclass

from wigwag.errors import LocalProtocolError

from .error import CpimError
from .escapes import escaped, unescaped

# NAMECHAR = %x21 / %x23-27 / %x2a-2b / %x2d / %x5e-60 / %x7c / %x7e / ALPHA / DIGIT      Header-name adds "."
_NAME_CHARACTERS = r"[!#-'*+\-.0-9A-Z^-z|~]"
NAME = re.compile(rf"{_NAME_CHARACTERS}+")
# Parameter = Lang-param / Ext-param        Param-value = Token / Number / String
_PARAMETER = rf';(?P<name>{_NAME_CHARACTERS}+)=(?P<value>"(?:[^"\\]|\\.)*"|[^\s;"]*)'
_EACH_PARAMETER = re.compile(_PARAMETER)
_PARAMETERS = re.compile(rf"(?:{re.sub('[?]P<[a-z]+>', '?:', _PARAMETER)})*")
# Header = Header-name ":" *( ";" Parameter ) SP Header-value CRLF; there are those who leave the blank out.
_HEADER = re.compile(rf"({_NAME_CHARACTERS}+):({_PARAMETERS.pattern})( ?)(.*)")
# Header-value = *HEADERCHAR        HEADERCHAR = UCS-no-CTL / Escape
_VALUE = re.compile(r"[ -~\u0080-\ud7ff\ue000-\U0010ffff]*")


@dataclass(frozen=True, slots=True)
class CpimHeader:
    """One message header. Nothing is checked before it is written; ``of`` makes one from a text."""

    name: str
    """With its prefix, such as ``imdn.Message-ID``. Names differ when the case of a letter does."""
    value: str
    """As it came, escapes and all."""
    parameters: str = ""
    """As they came, each with the semicolon before it."""
    blank: str = " "
    """What goes before the value: a blank, or nothing."""

    @classmethod
    def of(cls, name: str, text: str, language: str | None = None) -> "CpimHeader":
        """Return a header whose value stands for ``text``.

        Args:
            name: With its prefix, if it has one.
            text: Any text; what a header can't hold is escaped.
            language: Language tag of the text (RFC 3066).

        Raises:
            LocalProtocolError: The text holds lone surrogates.
        """
        return cls(name, escaped(text), "" if language is None else f";lang={language}")

    @classmethod
    def parse(cls, line: str, number: int) -> "CpimHeader":
        """Parse a line without its CRLF.

        Args:
            line: The line.
            number: Its number, for the error.

        Raises:
            CpimError: It breaks the grammar.
        """
        parts = _parts(line)
        if parts is None:
            raise CpimError("not a header", line=number)
        name, parameters, blank, value = parts
        return cls(name, value, parameters, blank)

    def __str__(self) -> str:
        """Return the line without its CRLF.

        Raises:
            LocalProtocolError: It would break the grammar.
        """
        line = f"{self.name}:{self.parameters}{self.blank}{self.value}"
        if _parts(line) != (self.name, self.parameters, self.blank, self.value):
            raise LocalProtocolError(f"not a CPIM header: {self!r}")
        return line

    @property
    def prefix(self) -> str:
        """The part of the name before the dot; empty when there is none."""
        before, dot, _ = self.name.partition(".")
        return before if dot else ""

    @property
    def local_name(self) -> str:
        """The part of the name after the first dot."""
        before, dot, after = self.name.partition(".")
        return after if dot else before

    @property
    def text(self) -> str:
        """What the value stands for, without blanks around it."""
        return unescaped(self.value.strip(" "))

    @property
    def language(self) -> str | None:
        """The language of a text for people; None means ``i-default`` (RFC 3862 section 3.3)."""
        found = (match["value"] for match in _EACH_PARAMETER.finditer(self.parameters) if match["name"] == "lang")
        return next(found, None)


def _parts(line: str) -> tuple[str, ...] | None:
    """Return name, parameters, blank and value; control characters first, so that no line is searched twice."""
    match = None if _VALUE.fullmatch(line) is None else _HEADER.fullmatch(line)
    return None if match is None else match.groups()
