"""Message/CPIM as a value (RFC 3862).

Theory of operation. A message is two blocks of headers, each ended by a blank line, and octets. ``parse`` keeps every
header as it came, in its order, so that ``bytes`` gives back the octets it was read from: end-to-end signatures survive
(section 2.2). The headers that RFC 3862 defines are read once while parsing, so that the accessors of a parsed message
never fail; names are looked up by namespace, whatever prefix a message uses.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from wigwag.errors import LocalProtocolError

from .address import CpimAddress
from .content import ContentHeader, decoded, first, is_content_type, media_type
from .date_time import format_date_time, parse_date_time
from .error import CpimError
from .header import CpimHeader
from .namespaces import CPIM_NAMESPACE, QualifiedName, qualified, required
from .sections import CpimLimits, split

_ONCE: Final = ("From", "DateTime")


@dataclass(frozen=True, slots=True, kw_only=True)
class CpimMessage:
    """A message with who it is from and for."""

    headers: tuple[CpimHeader, ...] = ()
    """All message headers in order, exactly as they came."""
    content_headers: tuple[ContentHeader, ...]
    """All MIME headers of the content in order, exactly as they came."""
    body: bytes = field(repr=False)
    """The content, still in its Content-Transfer-Encoding."""
    separated: bool = True
    """Whether a blank line parts the two blocks of headers. The examples of RFC 5438 have none, and so have some
    peers."""

    @classmethod
    def of(
        cls,
        sender: CpimAddress,
        recipients: Iterable[CpimAddress],
        content_type: str,
        body: bytes,
        *,
        copies: Iterable[CpimAddress] = (),
        date_time: datetime | None = None,
        subject: str | None = None,
        headers: Iterable[CpimHeader] = (),
        content_headers: Iterable[ContentHeader] = (),
    ) -> "CpimMessage":
        """Return a message.

        Args:
            sender: From.
            recipients: To.
            content_type: Content-Type of the body, with its parameters.
            body: The content.
            copies: cc.
            date_time: When it was sent, with an offset from UTC.
            subject: What it is about.
            headers: Further ones; NS has to come before what it declares.
            content_headers: Further MIME headers.

        Raises:
            LocalProtocolError: An argument would break the grammar.
            ValueError: The time does not know its offset.
        """
        written = [CpimHeader("From", str(sender))]
        written += [CpimHeader("To", str(recipient)) for recipient in recipients]
        written += [CpimHeader("cc", str(copy)) for copy in copies]
        if date_time is not None:
            written.append(CpimHeader("DateTime", format_date_time(date_time)))
        if subject is not None:
            written.append(CpimHeader.of("Subject", subject))
        content = (ContentHeader("Content-Type", content_type), *content_headers)
        message = cls(headers=(*written, *headers), content_headers=content, body=body)
        message.head()
        return message

    @classmethod
    def parse(cls, data: bytes, limits: CpimLimits | None = None) -> "CpimMessage":
        """Parse the body of a Message/CPIM.

        Args:
            data: All of it.
            limits: What its headers may take up; the usual ones if None.

        Raises:
            CpimError: It breaks the grammar or a limit.
        """
        sections = split(data, limits or CpimLimits())
        message = cls(
            headers=sections.headers,
            content_headers=sections.content_headers,
            body=sections.body,
            separated=sections.separated,
        )
        message._check()
        return message

    def _check(self) -> None:
        """Read every header that this specification defines.

        Raises:
            CpimError: One can't be read, or comes twice though it may not.
        """
        if not is_content_type(self.content_type):
            raise CpimError("content without a Content-Type" if not self.content_type else "malformed Content-Type")
        seen = set()
        number = 0
        try:
            for number, (name, header, namespaces) in enumerate(qualified(self.headers), 1):
                if name.namespace != CPIM_NAMESPACE:
                    continue
                if name.name in seen and name.name in _ONCE:
                    raise CpimError(f"{name.name} comes twice", line=number)
                seen.add(name.name)
                _check_value(name.name, header)
                if name.name == "Require":
                    required(header.value, namespaces)
        except CpimError as error:
            raise error if error.line else CpimError(error.cause, line=number, status=error.status) from None

    def head(self) -> bytes:
        """Return everything before the body.

        Raises:
            LocalProtocolError: A header would break the grammar.
        """
        if not is_content_type(self.content_type):
            raise LocalProtocolError(f"not a Content-Type: {self.content_type!r}")
        if not self.separated and self.content_headers[0].name.lower() != "content-type":
            raise LocalProtocolError("without a blank line Content-Type has to be the first MIME header")
        lines = [*map(str, self.headers), *([""] if self.separated else []), *map(str, self.content_headers), "", ""]
        return "\r\n".join(lines).encode()

    def __bytes__(self) -> bytes:
        return self.head() + self.body

    def with_headers(self, *headers: CpimHeader) -> "CpimMessage":
        """Return the message with further headers after its own."""
        return replace(self, headers=(*self.headers, *headers))

    # Message headers

    def find_all(self, name: str, namespace: str = CPIM_NAMESPACE) -> list[CpimHeader]:
        """Return all headers of a name, in order.

        Args:
            name: Without a prefix; the case of letters counts.
            namespace: URI of the namespace that it belongs to.
        """
        return [header for found, header, _ in qualified(self.headers) if found == (namespace, name)]

    def find(self, name: str, namespace: str = CPIM_NAMESPACE) -> CpimHeader | None:
        """Return the first header of a name; None if there is none."""
        return next(iter(self.find_all(name, namespace)), None)

    @property
    def sender(self) -> CpimAddress | None:
        """From."""
        header = self.find("From")
        return None if header is None else CpimAddress.parse(header.value)

    @property
    def recipients(self) -> tuple[CpimAddress, ...]:
        """To, every one."""
        return tuple(CpimAddress.parse(header.value) for header in self.find_all("To"))

    @property
    def copies(self) -> tuple[CpimAddress, ...]:
        """The cc headers, every one."""
        return tuple(CpimAddress.parse(header.value) for header in self.find_all("cc"))

    @property
    def date_time(self) -> datetime | None:
        """When the sender sent it, by his clock."""
        header = self.find("DateTime")
        return None if header is None else parse_date_time(header.value)

    @property
    def subject(self) -> str | None:
        """What it is about, in the first language given; ``find_all("Subject")`` has all, each with its language."""
        header = self.find("Subject")
        return None if header is None else header.text

    @property
    def required(self) -> tuple[QualifiedName, ...]:
        """What the receiver has to understand before it may process the message (section 3.5)."""
        return tuple(
            item
            for name, header, namespaces in qualified(self.headers)
            if name == (CPIM_NAMESPACE, "Require")
            for item in required(header.value, namespaces)
        )

    # Content

    @property
    def content_type(self) -> str:
        """Content-Type of the content, with its parameters; empty only in a message that was not parsed."""
        return first(self.content_headers, "Content-Type") or ""

    @property
    def media_type(self) -> str:
        """Type and subtype of the content in lower case."""
        return media_type(self.content_type)

    @property
    def content_disposition(self) -> str | None:
        """Content-Disposition in lower case, without parameters; None if there is none."""
        value = first(self.content_headers, "Content-Disposition")
        return None if value is None else media_type(value)

    @property
    def content(self) -> bytes:
        """The body without its Content-Transfer-Encoding.

        Raises:
            CpimError: The encoding is unknown (415), or the body is not in it (400).
        """
        return decoded(self.body, first(self.content_headers, "Content-Transfer-Encoding") or "binary")


def _check_value(name: str, header: CpimHeader) -> None:
    match name:
        case "From" | "To" | "cc":
            CpimAddress.parse(header.value)
        case "DateTime":
            parse_date_time(header.value)
