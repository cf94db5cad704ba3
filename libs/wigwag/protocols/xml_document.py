"""Small XML documents from peers, read without what makes XML dangerous.

Document types are refused before anything in them is read, so there are no entities to expand and nothing to fetch;
size, depth and number of elements are bounded, and no step is recursive.
"""

import re
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from wigwag.errors import RemoteProtocolError

DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
XML_NAMESPACE: Final = "http://www.w3.org/XML/1998/namespace"
"""The namespace of ``xml:lang``."""

_OTHER_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
"""Byte order marks of UTF-16, which expat would follow whatever it was told."""
# Char ::= #x9 | #xA | #xD | [#x20-#xD7FF] | [#xE000-#xFFFD] | [#x10000-#x10FFFF]      (XML 1.0 section 2.2)
_NO_CHARACTER = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARKUP: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"})


class XmlError(RemoteProtocolError):
    """A document is malformed, too large, or of a kind that is refused.

    Args:
        cause: What is wrong, without anything that the peer wrote.
        line: Number of the line, from 1; 0 when it is about none in particular.
    """

    def __init__(self, cause: str, *, line: int = 0, status: int = 400) -> None:
        super().__init__(f"XML line {line}: {cause}" if line else f"XML: {cause}", status=status)
        self.cause = cause
        self.line = line


@dataclass(frozen=True, slots=True)
class XmlLimits:
    """What a document may take up."""

    max_size: int = 65_536
    """Octets."""
    max_depth: int = 16
    max_elements: int = 500


@dataclass(slots=True)
class XmlElement:
    """An element and what is in it."""

    namespace: str
    """Empty when it is in none."""
    name: str
    attributes: dict[tuple[str, str], str]
    """Namespace and name -> value; most attributes are in no namespace."""
    children: list["XmlElement"] = field(default_factory=list)
    text: str = ""
    """Characters directly in it, without those of its children."""

    def every(self, name: str) -> list["XmlElement"]:
        """Return the children of this name in the element's own namespace, in order."""
        return [child for child in self.children if child.name == name and child.namespace == self.namespace]

    def only(self, name: str) -> "XmlElement | None":
        """Return the one child of this name in the element's own namespace; None if there is none.

        Raises:
            XmlError: There are several.
        """
        found = self.every(name)
        if len(found) > 1:
            raise XmlError(f"<{name}> comes twice")
        return found[0] if found else None

    def value(self, name: str) -> str | None:
        """Return the text of the one child of this name, without blanks around it; None if it has none.

        Raises:
            XmlError: There are several.
        """
        child = self.only(name)
        return None if child is None else child.text.strip() or None


def parse_document(data: bytes, limits: XmlLimits | None = None) -> XmlElement:
    """Return the root of a document in UTF-8.

    Args:
        data: All of it.
        limits: What it may take up; the usual ones if None.

    Raises:
        XmlError: It is malformed, passes a limit (413), or has a document type.
    """
    limits = limits or XmlLimits()
    if len(data) > limits.max_size:
        raise XmlError("document too large", status=413)
    if data.startswith(_OTHER_MARKS):
        raise XmlError("not UTF-8", line=1)
    return _Builder(limits).parse(data)


def escaped(text: str) -> str:
    """Return a text as it is written in an element or an attribute; what XML can't hold becomes U+FFFD."""
    return _NO_CHARACTER.sub("\ufffd", text).translate(_MARKUP)


class _Builder:
    """Builds the tree while expat reads."""

    def __init__(self, limits: XmlLimits) -> None:
        self._limits = limits
        self._parser = expat.ParserCreate("UTF-8", " ")
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._document_type
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._open: list[XmlElement] = []
        self._root: XmlElement | None = None
        self._elements = 0

    def parse(self, data: bytes) -> XmlElement:
        try:
            self._parser.Parse(data, True)
        except expat.ExpatError as error:
            raise XmlError("malformed", line=error.lineno) from None
        if self._root is None:
            raise XmlError("no element")
        return self._root

    def _document_type(self, *_: object) -> None:
        raise XmlError("a document type is refused", line=self._parser.CurrentLineNumber)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > self._limits.max_elements or len(self._open) >= self._limits.max_depth:
            raise XmlError("too many elements", line=self._parser.CurrentLineNumber, status=413)
        element = XmlElement(*_qualified(name), {_qualified(key): value for key, value in attributes.items()})
        if self._open:
            self._open[-1].children.append(element)
        else:
            self._root = element
        self._open.append(element)

    def _end(self, _: str) -> None:
        self._open.pop()

    def _characters(self, text: str) -> None:
        self._open[-1].text += text


def _qualified(name: str) -> tuple[str, str]:
    namespace, _, local = name.rpartition(" ")
    return namespace, local
