"""An MSRP stream as values, read from a media description or to be written as one (RFC 4975 section 8)."""

import re
from dataclasses import dataclass, field
from typing import Final

from wigwag.errors import LocalProtocolError

from .chat import Chatroom
from .comedia import Direction, Setup
from .description import MediaDescription, SdpAttribute, Section, SessionDescription
from .error import SdpError, WarningCode, refusal
from .fields import Connection, MediaLine
from .files import FileDate, FileRange, FileSelector, FileTransfer
from .fingerprint import Fingerprint
from .line import Line
from .media_types import MediaTypes
from .path import PathUri, parse_path

TCP_MSRP: Final = "TCP/MSRP"
TCP_TLS_MSRP: Final = "TCP/TLS/MSRP"
_TEXT_PLAIN: Final = MediaTypes(("text/plain",))
_TOKEN = re.compile(r"[!#-'*+\-.0-9A-Z^-~]+")
_CID = re.compile(r"cid:[!#-;=?-Z_a-z~]+", re.IGNORECASE)
_SIZE = re.compile(r"([0-9]{1,20}) *")
_TYPED: Final = frozenset(
    (
        *("path", "accept-types", "accept-wrapped-types", "max-size", "setup", "msrp-cema", "fingerprint", "chatroom"),
        *("file-selector", "file-transfer-id", "file-disposition", "file-date", "file-icon", "file-range"),
        *(direction.value for direction in Direction),
    )
)
"""Names of the attributes that have a field of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MsrpMedia:
    """One MSRP stream.

    Raises:
        LocalProtocolError: ``path`` is no path, or ``port`` none.
    """

    path: tuple[str, ...]
    """MSRP URIs with ports: the relays that the peer's messages pass, first hop first, then the endpoint's own.

    The port of one that is ``active`` and does not listen is 9 (RFC 6135 section 4.2.2).
    """
    accept_types: MediaTypes = _TEXT_PLAIN
    accept_wrapped_types: MediaTypes | None = None
    """Types that are accepted within a container of ``accept_types`` only."""
    max_size: int | None = None
    """Octets of a whole message; a hint."""
    setup: Setup | None = None
    direction: Direction = Direction.SENDRECV
    cema: bool = False
    """``a=msrp-cema``: willing to connect to the address in ``c=`` and ``m=`` (RFC 6714)."""
    fingerprints: tuple[Fingerprint, ...] = ()
    chatroom: Chatroom | None = None
    file: FileTransfer | None = None
    proto: str = ""
    """``"TCP/MSRP"`` or ``"TCP/TLS/MSRP"``; empty follows from the first URI's scheme."""
    address: str = ""
    """Host of ``c=``; empty follows from ``path``."""
    port: int = 0
    """Port of ``m=``; 0 follows from ``path``."""
    others: tuple[SdpAttribute, ...] = ()
    """All other attributes, in order."""
    uris: tuple[PathUri, ...] = field(init=False, repr=False, compare=False)
    """What ``path`` says."""

    def __post_init__(self) -> None:
        try:
            uris = parse_path(" ".join(self.path))
        except SdpError as error:
            raise LocalProtocolError(str(error)) from error
        if len(uris) != len(self.path) or self.proto not in ("", TCP_MSRP, TCP_TLS_MSRP):
            raise LocalProtocolError(f"not a path, or not a protocol: {self.path} {self.proto}")
        object.__setattr__(self, "uris", uris)
        object.__setattr__(self, "proto", self.proto or (TCP_TLS_MSRP if uris[0].secure else TCP_MSRP))
        if not 0 < self.connection_port <= 65_535:
            raise LocalProtocolError("an MSRP stream without a port")

    @classmethod
    def of(cls, description: SessionDescription, index: int) -> "MsrpMedia":
        """Read the stream that the ``m=`` line number ``index``, from 0, describes.

        Raises:
            SdpError: It is no MSRP stream or declined, an attribute is missing or malformed, or ``m=`` and ``path``
                disagree on TLS; ``status`` is 488.
        """
        media = description.media[index]
        line = media.lines[0].number
        if not media.is_msrp or not media.port:
            raise refusal("no MSRP stream, or a declined one", WarningCode.MEDIA_TYPE_NOT_AVAILABLE, line=line)
        proto, uris = media.proto.upper(), media.one("path", parse_path)
        accept_types = media.one("accept-types", MediaTypes.parse)
        if uris is None or accept_types is None:
            raise refusal(f"MSRP stream without a={'path' if uris is None else 'accept-types'}", line=line)
        if (proto == TCP_TLS_MSRP) not in (uris[0].secure, uris[-1].secure):
            raise refusal("m= and a=path disagree on TLS", WarningCode.INCOMPATIBLE_TRANSPORT_PROTOCOL, line=line)
        connection = description.connection_of(media)
        return cls(
            path=tuple(uri.text for uri in uris),
            accept_types=accept_types,
            accept_wrapped_types=media.one("accept-wrapped-types", MediaTypes.parse),
            max_size=media.one("max-size", _parse_size),
            setup=media.one("setup", Setup.parse) or description.one("setup", Setup.parse),
            direction=_direction_of(media) or _direction_of(description) or Direction.SENDRECV,
            cema=media.attribute("msrp-cema") is not None,
            fingerprints=_fingerprints_of(media) or _fingerprints_of(description),
            chatroom=media.one("chatroom", Chatroom.parse),
            file=_file_of(media),
            proto=proto,
            address="" if connection is None else connection.address,
            port=media.port,
            others=tuple(attribute for attribute in media.attributes if attribute.name not in _TYPED),
        )

    @property
    def secure(self) -> bool:
        """Whether it is MSRP over TLS."""
        return self.proto == TCP_TLS_MSRP

    @property
    def uses_relay(self) -> bool:
        """Whether its author is behind a relay (RFC 4976)."""
        return len(self.path) > 1

    @property
    def connection_address(self) -> str:
        """Host of ``c=``."""
        return self.address or self._uri_of_connection.host

    @property
    def connection_port(self) -> int:
        """Port of ``m=``."""
        return self.port or self._uri_of_connection.port

    @property
    def _uri_of_connection(self) -> PathUri:
        # RFC 4975 section 8.1: the endpoint's own URI. RFC 6714 section 4.2: the relay's, where CEMA is used.
        return self.uris[0] if self.cema else self.uris[-1]

    def accepts(self, content_type: str, *, wrapped: bool = False) -> bool:
        """Tell whether the author of this description takes a body of this Content-Type (RFC 4975 section 8.6).

        Args:
            content_type: Of the whole body, or of what is within a container.
            wrapped: Whether it is within a container that is accepted itself.
        """
        if self.accept_types.accepts(content_type):
            return True
        return wrapped and self.accept_wrapped_types is not None and self.accept_wrapped_types.accepts(content_type)

    def describe(self, session_address: str = "") -> MediaDescription:
        """Write the stream as a media description.

        Args:
            session_address: Host of the session's ``c=`` line; the media description gets one of its own when it
                needs another.

        Raises:
            LocalProtocolError: A value would break its line.
        """
        lines = [Line("m", str(MediaLine("message", self.connection_port, self.proto, ("*",))))]
        if self.connection_address != session_address:
            lines.append(Line("c", str(Connection.to(self.connection_address))))
        attributes = (*self._own_attributes(), *_file_attributes(self.file), *self.others)
        return MediaDescription((*lines, *(attribute.line() for attribute in attributes)))

    def _own_attributes(self) -> list[SdpAttribute]:
        values = {
            "accept-types": self.accept_types,
            "accept-wrapped-types": self.accept_wrapped_types,
            "max-size": self.max_size,
            "path": " ".join(self.path),
            "setup": None if self.setup is None else self.setup.value,
        }
        attributes = [SdpAttribute(name, str(value)) for name, value in values.items() if value is not None]
        # Always explicit: the session may have another direction.
        attributes.append(SdpAttribute(self.direction.value))
        if self.cema:
            attributes.append(SdpAttribute("msrp-cema"))
        if self.chatroom is not None:
            attributes.append(SdpAttribute("chatroom", str(self.chatroom) or None))
        return attributes + [SdpAttribute("fingerprint", str(fingerprint)) for fingerprint in self.fingerprints]


def _file_attributes(file: FileTransfer | None) -> list[SdpAttribute]:
    if file is None:
        return []
    values = {
        "file-transfer-id": file.transfer_id,
        "file-disposition": file.disposition,
        "file-date": file.date,
        "file-icon": file.icon,
        "file-range": file.range,
    }
    given = [SdpAttribute(name, str(value)) for name, value in values.items() if value is not None]
    return [SdpAttribute("file-selector", str(file.selector) or None), *given]


def _direction_of(section: Section) -> Direction | None:
    found = [direction for direction in Direction if section.attribute(direction.value) is not None]
    if len(found) > 1:
        raise refusal("more than one direction")
    return found[0] if found else None


def _fingerprints_of(section: Section) -> tuple[Fingerprint, ...]:
    return section.every("fingerprint", Fingerprint.parse)


def _file_of(media: MediaDescription) -> FileTransfer | None:
    selector = media.one("file-selector", FileSelector.parse)
    if selector is None:
        return None
    return FileTransfer(
        selector=selector,
        transfer_id=media.one("file-transfer-id", _parse_token),
        disposition=media.one("file-disposition", _parse_token),
        date=media.one("file-date", FileDate.parse),
        icon=media.one("file-icon", _parse_cid),
        range=media.one("file-range", FileRange.parse),
    )


def _parse_size(value: str) -> int:
    match = _SIZE.fullmatch(value)
    if match is None:
        raise SdpError("a=max-size is not a number of 1 to 20 digits")
    return int(match[1])


def _parse_token(value: str) -> str:
    if _TOKEN.fullmatch(value) is None:
        raise SdpError("not a token")
    return value


def _parse_cid(value: str) -> str:
    if _CID.fullmatch(value) is None:
        raise SdpError("a=file-icon is no cid URL")
    return value
