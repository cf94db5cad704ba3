"""The values of ``o=``, ``c=`` and ``m=`` (RFC 8866 sections 5.2, 5.7, 5.14)."""

import re
from dataclasses import dataclass, replace
from typing import Final

from wigwag.errors import LocalProtocolError

from .error import SdpError

_LARGEST_PORT: Final = 65_535
_DIGITS = re.compile(r"[0-9]{1,20}")
_FIELD = re.compile(r"[^\s\x00]+")
# token = 1*(token-char)                 token-char = ALPHA / DIGIT / "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" ...
# media-field = %s"m" "=" media SP port ["/" integer] SP proto 1*(SP fmt) CRLF
# proto = token *("/" token)             fmt = token
_TOKEN = r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+"  # noqa: S105 (grammar, not a secret)
_MEDIA = re.compile(
    rf"(?P<media>{_TOKEN}) +(?P<port>[0-9]{{1,5}})(?:/(?P<count>[0-9]{{1,5}}))? +"
    rf"(?P<proto>{_TOKEN}(?:/{_TOKEN})*)(?P<formats>(?: +[^\s]+)+) *"
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Who made a description, and which version of it this is (RFC 8866 section 5.2)."""

    session_id: int
    """The same in all versions of one description."""
    version: int
    """Grows by one with each change (RFC 3264 section 8)."""
    address: str
    username: str = "-"
    address_type: str = "IP4"
    network_type: str = "IN"

    def __post_init__(self) -> None:
        texts = (self.username, self.network_type, self.address_type, self.address)
        if not all(map(_FIELD.fullmatch, texts[1:])) or not texts[0].strip() or min(self.session_id, self.version) < 0:
            raise LocalProtocolError(f"not an o= line: {self}")

    @classmethod
    def at(cls, host: str, session_id: int, version: int | None = None, username: str = "-") -> "Origin":
        """Return an origin at a name or an address.

        Args:
            host: Name, IPv4 address or IPv6 address without brackets.
            session_id: Unique among the descriptions of this user and host; below 2^63.
            version: Of the first description; below 2^62. Equal to ``session_id`` when None.
            username: Of the user who made it; ``-`` is nobody.
        """
        return cls(session_id, session_id if version is None else version, host, username, _address_type(host))

    @classmethod
    def parse(cls, value: str) -> "Origin":
        """Parse what follows ``o=``.

        Raises:
            SdpError: It has not six fields, or an id or a version that is no number.
        """
        # Some write names with spaces into the first field: the other five count from the right.
        fields = value.rstrip(" ").rsplit(" ", 5)
        if len(fields) != 6 or not all(fields) or not all(map(_FIELD.fullmatch, fields[1:])) or not fields[0].strip():
            raise SdpError("o= has not six fields")
        username, session_id, version, network_type, address_type, address = fields
        if _DIGITS.fullmatch(session_id) is None or _DIGITS.fullmatch(version) is None:
            raise SdpError("o= with a session id or version that is not of 1 to 20 digits")
        return cls(int(session_id), int(version), address, username, address_type, network_type)

    def __str__(self) -> str:
        parts = (self.username, self.session_id, self.version, self.network_type, self.address_type, self.address)
        return " ".join(map(str, parts))

    def next_version(self) -> "Origin":
        """Return the origin of the description that comes after this one."""
        return replace(self, version=self.version + 1)


@dataclass(frozen=True, slots=True)
class Connection:
    """Where media go (RFC 8866 section 5.7)."""

    address: str
    """Name or address; of a multicast address with its ``/ttl``."""
    address_type: str = "IP4"
    network_type: str = "IN"

    @classmethod
    def to(cls, host: str) -> "Connection":
        """Return the connection to a name, an IPv4 address or an IPv6 address without brackets."""
        return cls(host, _address_type(host))

    @classmethod
    def parse(cls, value: str) -> "Connection":
        """Parse what follows ``c=``.

        Raises:
            SdpError: It has not three fields.
        """
        fields = value.split(" ")
        fields = [item for item in fields if item]
        if len(fields) != 3 or not all(map(_FIELD.fullmatch, fields)):
            raise SdpError("c= has not three fields")
        return cls(fields[2], fields[1], fields[0])

    def __str__(self) -> str:
        return f"{self.network_type} {self.address_type} {self.address}"


@dataclass(frozen=True, slots=True)
class MediaLine:
    """What a stream is (RFC 8866 section 5.14)."""

    media: str
    port: int
    """0 to 65535."""
    proto: str
    formats: tuple[str, ...]
    """At least one."""
    port_count: int | None = None

    @classmethod
    def parse(cls, value: str) -> "MediaLine":
        """Parse what follows ``m=``.

        Raises:
            SdpError: It breaks the grammar, names no format, or a port above 65535.
        """
        match = _MEDIA.fullmatch(value)
        if match is None:
            raise SdpError("m= is not <media> <port> <proto> <format> ...")
        if int(match["port"]) > _LARGEST_PORT:
            raise SdpError("m= with a port above 65535")
        count = None if match["count"] is None else int(match["count"])
        formats = tuple(item for item in match["formats"].split(" ") if item)
        return cls(match["media"], int(match["port"]), match["proto"], formats, count)

    def __str__(self) -> str:
        count = "" if self.port_count is None else f"/{self.port_count}"
        return f"{self.media} {self.port}{count} {self.proto} {' '.join(self.formats)}"


def _address_type(host: str) -> str:
    return "IP6" if ":" in host else "IP4"
