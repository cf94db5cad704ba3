"""The XML that says what became of a message: message/imdn+xml (RFC 5438 section 11)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from wigwag.errors import LocalProtocolError
from wigwag.protocols.cpim import CpimError, parse_date_time
from wigwag.protocols.xml_document import DECLARATION, XML_NAMESPACE, XmlElement, XmlError, escaped, parse_document

from .dispositions import STATUSES, NotificationType, Status
from .error import ImdnError

XML_IMDN_NAMESPACE: Final = "urn:ietf:params:xml:ns:imdn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Imdn:
    """What became of a message."""

    message_id: str
    """Message-ID of the message it is about."""
    kind: NotificationType
    status: Status | None
    """None when it is one that RFC 5438 does not know."""
    date_time: str | None = None
    """DateTime of the message it is about, as it was there."""
    recipient_uri: str | None = None
    original_recipient_uri: str | None = None
    """Whom the sender wrote to, if an intermediary changed it."""
    subject: str | None = None
    subject_language: str | None = None

    @classmethod
    def parse(cls, data: bytes) -> "Imdn":
        """Parse a document.

        Raises:
            ImdnError: It is malformed, too large (413), or says nothing.
        """
        try:
            return cls._of(parse_document(data))
        except XmlError as error:
            raise ImdnError(error.reason, status=error.status or 400) from None

    @classmethod
    def _of(cls, root: XmlElement) -> "Imdn":
        if (root.namespace, root.name) != (XML_IMDN_NAMESPACE, "imdn"):
            raise ImdnError("root is not <imdn>")
        message_id = root.value("message-id")
        if message_id is None:
            raise ImdnError("no <message-id>")
        kind, status = _outcome(root)
        subject = root.only("subject")
        return cls(
            message_id=message_id,
            kind=kind,
            status=status,
            date_time=root.value("datetime"),
            recipient_uri=root.value("recipient-uri"),
            original_recipient_uri=root.value("original-recipient-uri"),
            subject=None if subject is None else subject.text,
            subject_language=None if subject is None else subject.attributes.get((XML_NAMESPACE, "lang")),
        )

    @property
    def sent_at(self) -> datetime | None:
        """When the message it is about was sent; None if that is not said, or not as a date and time."""
        try:
            return None if self.date_time is None else parse_date_time(self.date_time)
        except CpimError:
            return None

    def __bytes__(self) -> bytes:
        """Return the document.

        Raises:
            LocalProtocolError: The status is none of the type's.
        """
        if self.status is None or self.status not in STATUSES[self.kind]:
            raise LocalProtocolError(f"not a status of a {self.kind.value}: {self.status}")
        recipient = self.recipient_uri or self.original_recipient_uri
        elements = [("message-id", self.message_id), ("datetime", self.date_time or "")]
        if recipient is not None:
            # The schema has both or neither.
            elements += [("recipient-uri", recipient)]
            elements += [("original-recipient-uri", self.original_recipient_uri or recipient)]
        lines = [f"  <{name}>{escaped(value)}</{name}>" for name, value in elements]
        if self.subject is not None:
            language = "" if self.subject_language is None else f' xml:lang="{escaped(self.subject_language)}"'
            lines.append(f"  <subject{language}>{escaped(self.subject)}</subject>")
        lines.append(f"  <{self.kind.value}><status><{self.status.value}/></status></{self.kind.value}>")
        inner = "\n".join(lines)
        return f'{DECLARATION}<imdn xmlns="{XML_IMDN_NAMESPACE}">\n{inner}\n</imdn>\n'.encode()


def _outcome(root: XmlElement) -> tuple[NotificationType, Status | None]:
    found = [(kind, child) for kind in NotificationType for child in root.every(kind.value)]
    if len(found) != 1:
        raise ImdnError("not one notification")
    kind, notification = found[0]
    status = notification.only("status")
    if status is None:
        raise ImdnError("no <status>")
    known = {member.value: member for member in Status}
    said = [known[child.name] for child in status.children if child.namespace == root.namespace and child.name in known]
    if len(said) > 1 or not STATUSES[kind].issuperset(said):
        raise ImdnError("contradictory <status>")
    return kind, said[0] if said else None
