"""The XML that says whether somebody is writing: application/im-iscomposing+xml (RFC 3994 sections 3.4, 3.5 and 6)."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from wigwag.errors import LocalProtocolError
from wigwag.protocols.xml_document import DECLARATION, XmlElement, XmlError, XmlLimits, escaped, parse_document

from .error import IsComposingError

IS_COMPOSING_TYPE: Final = "application/im-iscomposing+xml"
"""The media type."""
XML_IS_COMPOSING_NAMESPACE: Final = "urn:ietf:params:xml:ns:im-iscomposing"

_LIMITS: Final = XmlLimits(max_size=8192, max_elements=50)
# xs:positiveInteger; more than nine digits are more than 31 years.
_POSITIVE_INTEGER = re.compile(r"\+?0*([1-9][0-9]*)", re.ASCII)
_LONGEST_REFRESH: Final = 999_999_999


class State(Enum):
    """What somebody does."""

    IDLE = "idle"
    ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class IsComposing:
    """A status message."""

    state: State
    content_type: str | None = None
    """Media type of what is being written, or only its first half, such as ``audio``; a hint."""
    refresh: int | None = None
    """Seconds after which a further status message can be expected, at least 1; None: none will come."""
    last_active: datetime | None = None
    """When something was last written, with an offset from UTC."""

    @classmethod
    def parse(cls, data: bytes) -> "IsComposing":
        """Parse a document. A state that RFC 3994 does not know is ``IDLE`` (section 3.5).

        Raises:
            IsComposingError: It is malformed, or too large (413).
        """
        try:
            return cls._of(parse_document(data, _LIMITS))
        except XmlError as error:
            raise IsComposingError(error.reason, status=error.status or 400) from None

    @classmethod
    def _of(cls, root: XmlElement) -> "IsComposing":
        if (root.namespace, root.name) != (XML_IS_COMPOSING_NAMESPACE, "isComposing"):
            raise IsComposingError("root is not <isComposing>")
        state = root.value("state")
        if state is None:
            raise IsComposingError("no <state>")
        return cls(
            state=State.ACTIVE if state == State.ACTIVE.value else State.IDLE,
            content_type=root.value("contenttype"),
            refresh=_refresh(root.value("refresh")),
            last_active=_time(root.value("lastactive")),
        )

    def __bytes__(self) -> bytes:
        """Return the document.

        Raises:
            LocalProtocolError: The refresh is less than 1, or the time does not know its offset.
        """
        if self.refresh is not None and self.refresh < 1:
            raise LocalProtocolError(f"not a refresh: {self.refresh}")
        if self.last_active is not None and self.last_active.utcoffset() is None:
            raise LocalProtocolError("a time without an offset from UTC")
        # The schema wants this order.
        elements = {
            "state": self.state.value,
            "lastactive": None if self.last_active is None else self.last_active.isoformat().replace("+00:00", "Z"),
            "contenttype": self.content_type,
            "refresh": None if self.refresh is None else str(self.refresh),
        }
        inner = "".join(f"  <{name}>{escaped(text)}</{name}>\n" for name, text in elements.items() if text is not None)
        return f'{DECLARATION}<isComposing xmlns="{XML_IS_COMPOSING_NAMESPACE}">\n{inner}</isComposing>\n'.encode()


def _refresh(text: str | None) -> int | None:
    if text is None:
        return None
    match = _POSITIVE_INTEGER.fullmatch(text)
    if match is None:
        raise IsComposingError("malformed <refresh>")
    return int(match[1]) if len(match[1]) <= 9 else _LONGEST_REFRESH


def _time(text: str | None) -> datetime | None:
    """Return a time; None for one that can't be placed: xs:dateTime needs no offset."""
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.utcoffset() is not None else None
