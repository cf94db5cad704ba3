"""The attributes of a file transfer (RFC 5547 section 6)."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Final

from wigwag.errors import LocalProtocolError

from .error import SdpError
from .escapes import decoded, encoded

_TOKEN = r"[!#-'*+\-.0-9A-Z^-~]+"  # noqa: S105 (grammar, not a secret)
# file-selector-attr = "file-selector" [":" selector *(SP selector)]
# filename-selector = "name:" DQUOTE 1*(filename-char/percent-encoded) DQUOTE        filesize-selector = "size:" integer
# filetype-selector = "type:" type "/" subtype *(";" ft-parameter)    ft-parameter = attribute "=" DQUOTE value DQUOTE
# hash-selector = "hash:" hash-algorithm ":" 2HEXDIG *(":" 2HEXDIG)
_SELECTOR = re.compile(
    r'(?:name:"(?P<name>[^"\x00\r\n]+)"'
    r"|size:(?P<size>[0-9]{1,20})"
    rf'|type:(?P<type>{_TOKEN}/{_TOKEN}(?:;{_TOKEN}=(?:"[^"\x00\r\n]*"|{_TOKEN}))*)'
    rf"|hash:(?P<function>{_TOKEN}):(?P<digest>[0-9A-Fa-f]{{2}}(?::[0-9A-Fa-f]{{2}})*))(?: +|\Z)"
)
_RANGE = re.compile(r"(?P<start>[0-9]{1,20})-(?P<stop>[0-9]{1,20}|\*) *")
# date-param = ("creation:" / "modification:" / "read:") DQUOTE date-time DQUOTE      ; date-time of RFC 5322
_DATE_PARAMETER = re.compile(r'(?P<kind>creation|modification|read):"(?P<date>[^"]{1,60})"(?: +|\Z)')
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DATE = re.compile(
    rf"(?:(?:{'|'.join(_DAYS)}), +)?(?P<day>[0-9]{{1,2}}) +(?P<month>{'|'.join(_MONTHS)}) +(?P<year>[0-9]{{4}}) +"
    r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2}))? +(?P<zone>[+-][0-9]{4})"
)


@dataclass(frozen=True, slots=True)
class FileSelector:
    """Which file: ``a=file-selector``. Empty in answers to a question for capabilities only."""

    name: str | None = None
    """Decoded. The peer's choice: it may hold path separators and dots, so never use it as a path as it is."""
    size: int | None = None
    """Octets."""
    media_type: str | None = None
    """As written, with its parameters."""
    hashes: tuple[tuple[str, bytes], ...] = ()
    """Function in lower case, such as ``"sha-1"``, and digest of the whole file."""

    @classmethod
    def parse(cls, value: str) -> "FileSelector":
        """Parse the attribute's value.

        Raises:
            SdpError: It breaks the grammar, or a selector other than ``hash`` comes twice.
        """
        found: dict[str, str] = {}
        hashes: list[tuple[str, bytes]] = []
        position = 0
        while position < len(value):
            match = _SELECTOR.match(value, position)
            if match is None or match.lastgroup in found:
                raise SdpError("malformed a=file-selector, or a selector given twice")
            if match.lastgroup == "digest":
                hashes.append((match["function"].lower(), bytes.fromhex(match["digest"].replace(":", ""))))
            elif match.lastgroup is not None:
                found[match.lastgroup] = match[match.lastgroup]
            position = match.end()
        name = decoded(found["name"]) if "name" in found else None
        size = int(found["size"]) if "size" in found else None
        return cls(name, size, found.get("type"), tuple(hashes))

    def __str__(self) -> str:
        parts = []
        if self.name is not None:
            parts.append(f'name:"{encoded(self.name)}"')
        if self.media_type is not None:
            parts.append(f"type:{self.media_type}")
        if self.size is not None:
            parts.append(f"size:{self.size}")
        parts += [f"hash:{function}:{digest.hex(':').upper()}" for function, digest in self.hashes]
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class FileRange:
    """Which octets of the file are transferred: ``a=file-range``."""

    start: int = 1
    """From 1."""
    stop: int | None = None
    """Inclusive; None is the end of the file."""

    @classmethod
    def parse(cls, value: str) -> "FileRange":
        """Parse the attribute's value.

        Raises:
            SdpError: It breaks the grammar, begins at 0, or ends before it begins.
        """
        match = _RANGE.fullmatch(value)
        if match is None:
            raise SdpError("malformed a=file-range")
        start, stop = int(match["start"]), None if match["stop"] == "*" else int(match["stop"])
        if start < 1 or (stop is not None and stop < start):
            raise SdpError("a=file-range that contradicts itself")
        return cls(start, stop)

    def __str__(self) -> str:
        return f"{self.start}-{'*' if self.stop is None else self.stop}"


@dataclass(frozen=True, slots=True)
class FileDate:
    """When the file was made, changed and read last: ``a=file-date``."""

    creation: datetime | None = None
    modification: datetime | None = None
    read: datetime | None = None

    @classmethod
    def parse(cls, value: str) -> "FileDate":
        """Parse the attribute's value.

        Raises:
            SdpError: It breaks the grammar, or a kind comes twice.
        """
        dates: dict[str, datetime] = {}
        position = 0
        while position < len(value):
            match = _DATE_PARAMETER.match(value, position)
            if match is None or match["kind"] in dates:
                raise SdpError("malformed a=file-date, or a date given twice")
            dates[match["kind"]] = _parse_date(match["date"])
            position = match.end()
        if not dates:
            raise SdpError("a=file-date without a date")
        return cls(**dates)

    def __str__(self) -> str:
        dates = (("creation", self.creation), ("modification", self.modification), ("read", self.read))
        return " ".join(f'{kind}:"{_format_date(date)}"' for kind, date in dates if date is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTransfer:
    """Everything that a description says about the one file of a stream."""

    selector: FileSelector
    transfer_id: str | None = None
    """Tells a new transfer from the same one described again (RFC 5547 section 8.1); who offers has to give one."""
    disposition: str | None = None
    """``"render"``, which absence means too, ``"attachment"`` or another one."""
    date: FileDate | None = None
    icon: str | None = None
    """A ``cid:`` URL of another part of the SIP message (RFC 2392)."""
    range: FileRange | None = None


def _parse_date(text: str) -> datetime:
    match = _DATE.fullmatch(text)
    if match is None:
        raise SdpError("malformed date in a=file-date")
    sign = -1 if match["zone"][0] == "-" else 1
    offset = timedelta(hours=int(match["zone"][1:3]), minutes=int(match["zone"][3:])) * sign
    month = _MONTHS.index(match["month"]) + 1
    clock = (int(match["hour"]), int(match["minute"]), int(match["second"] or 0))
    try:
        return datetime(int(match["year"]), month, int(match["day"]), *clock, tzinfo=timezone(offset))
    except ValueError as error:
        raise SdpError("impossible date in a=file-date") from error


def _format_date(date: datetime) -> str:
    if date.tzinfo is None:
        raise LocalProtocolError("a date of a file without its time zone")
    # strftime("%a, %d %b") would follow the locale.
    day = f"{_DAYS[date.weekday()]}, {date.day:02} {_MONTHS[date.month - 1]} {date.year:04}"
    return f"{day} {date:%H:%M:%S} {date:%z}"
