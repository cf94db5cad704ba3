"""Session descriptions: a sequence of lines that is read where it matters and kept where it does not (RFC 8866).

Theory of operation. The lines are the truth. What every user needs (``v=``, ``o=``, ``m=``) is checked when a
description is made; everything else is read when asked for, by ``one`` and ``every``, so that a mistake in an attribute
nobody uses harms nobody. Unknown types of lines, unknown attributes and the order of all of them are kept, and a
description that was not changed is written octet by octet as it was read. All objects are immutable; ``with_...``
returns a changed copy.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Self, TypeVar

from wigwag.errors import LocalProtocolError

from .error import SdpError, refusal
from .fields import Connection, MediaLine, Origin
from .line import Line, SdpLimits, join, split

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class SdpAttribute:
    """One ``a=`` line: a property attribute when ``value`` is None, else a value attribute."""

    name: str
    """Case matters (RFC 8866 section 5.13)."""
    value: str | None = None

    @classmethod
    def parse(cls, text: str) -> "SdpAttribute":
        """Parse what follows ``a=``.

        Raises:
            SdpError: It has no name.
        """
        name, colon, value = text.partition(":")
        if not name:
            raise SdpError("a= without a name")
        return cls(name, value if colon else None)

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}:{self.value}"

    def line(self) -> Line:
        """Return it as a line.

        Raises:
            LocalProtocolError: Name or value would break it.
        """
        # What peers write for a name is kept; only what would be read as another name is not one.
        if not self.name or ":" in self.name:
            raise LocalProtocolError(f"not the name of an SDP attribute: {self.name!r}")
        return Line("a", str(self))


@dataclass(frozen=True, slots=True)
class Section:
    """The session level of a description, or one media description."""

    lines: tuple[Line, ...]

    @property
    def attributes(self) -> tuple[SdpAttribute, ...]:
        """All attributes in order."""
        return tuple(SdpAttribute.parse(line.value) for line in self.lines if line.type == "a")

    def attribute(self, name: str) -> str | None:
        """Return the value of the first attribute called ``name``: empty for a property attribute, None for none."""
        values = self.attribute_values(name)
        return values[0] if values else None

    def attribute_values(self, name: str) -> tuple[str, ...]:
        """Return the values of all attributes called ``name``, in order."""
        return tuple(line.value[len(name) + 1 :] for line in self._attribute_lines(name))

    def one(self, name: str, parse: Callable[[str], _T]) -> _T | None:
        """Return the attribute called ``name``, read by ``parse``; None when there is none.

        Raises:
            SdpError: There are several, or ``parse`` refused the value; ``status`` is 488.
        """
        lines = self._attribute_lines(name)
        if len(lines) > 1:
            raise refusal(f"more than one a={name}", line=lines[1].number)
        return _read(lines[0], name, parse) if lines else None

    def every(self, name: str, parse: Callable[[str], _T]) -> tuple[_T, ...]:
        """Return all attributes called ``name``, read by ``parse``, in order.

        Raises:
            SdpError: ``parse`` refused a value; ``status`` is 488.
        """
        return tuple(_read(line, name, parse) for line in self._attribute_lines(name))

    @property
    def connection(self) -> Connection | None:
        """The ``c=`` line of this level.

        Raises:
            SdpError: It is malformed, or there are several; ``status`` is 488.
        """
        lines = [line for line in self.lines if line.type == "c"]
        if len(lines) > 1:
            raise refusal("more than one c=", line=lines[1].number)
        return _read(lines[0], None, Connection.parse) if lines else None

    def with_attribute(self, name: str, value: str | None = None) -> Self:
        """Return a copy with one attribute ``name``: in the place of the first there was, else at the end."""
        line = SdpAttribute(name, value).line()
        at = next((index for index, old in enumerate(self.lines) if _is_attribute(old, name)), len(self.lines))
        others = [old for old in self.lines[at:] if not _is_attribute(old, name)]
        return replace(self, lines=(*self.lines[:at], line, *others))

    def without_attribute(self, name: str) -> Self:
        """Return a copy without attributes called ``name``."""
        return replace(self, lines=tuple(line for line in self.lines if not _is_attribute(line, name)))

    def _attribute_lines(self, name: str) -> list[Line]:
        return [line for line in self.lines if _is_attribute(line, name)]


@dataclass(frozen=True, slots=True)
class MediaDescription(Section):
    """One media description; its first line is ``m=``.

    Raises:
        SdpError: The ``m=`` line, or an ``a=`` line, is malformed.
    """

    media_line: MediaLine = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.lines or self.lines[0].type != "m":
            raise LocalProtocolError("a media description that does not begin with m=")
        object.__setattr__(self, "media_line", _checked(self.lines[0], MediaLine.parse))
        _check_attributes(self.lines)

    @property
    def media(self) -> str:
        """``"message"``, ``"audio"`` and so on, as written."""
        return self.media_line.media

    @property
    def port(self) -> int:
        """0 to 65535; 0 when the stream is declined or over."""
        return self.media_line.port

    @property
    def proto(self) -> str:
        """Such as ``"TCP/TLS/MSRP"``, as written."""
        return self.media_line.proto

    @property
    def is_msrp(self) -> bool:
        """Whether it proposes MSRP over TCP or TLS (RFC 4975 section 8.1)."""
        return self.media.lower() == "message" and self.proto.upper() in ("TCP/MSRP", "TCP/TLS/MSRP")


@dataclass(frozen=True, slots=True)
class SessionDescription(Section):
    """A whole description: ``lines`` is its session level, ``media`` what follows.

    Raises:
        SdpError: ``v=`` or ``o=`` is absent, malformed or repeated, or an ``a=`` line is malformed.
    """

    media: tuple[MediaDescription, ...] = ()
    trailer: str = field(default="", compare=False, repr=False)
    """Blank lines at the end."""
    origin: Origin = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.lines or self.lines[0].type != "v":
            raise SdpError("does not begin with v=", line=1)
        if self.lines[0].value.strip(" ") != "0":
            raise SdpError("v= is not 0", line=self.lines[0].number)
        origins = [line for line in self.lines if line.type == "o"]
        if not origins:
            raise SdpError("no o=")
        for kind in "vosc":
            _check_single(self.lines, kind)
        object.__setattr__(self, "origin", _checked(origins[0], Origin.parse))
        _check_attributes(self.lines)

    @classmethod
    def parse(cls, data: bytes, limits: SdpLimits | None = None) -> "SessionDescription":
        """Parse a description. CRLF and LF are taken as line endings; the last one may be missing.

        Raises:
            SdpError: It is malformed or exceeds a limit; names the line, and carries ``status`` and ``warning``.
        """
        lines, trailer = split(data, limits or SdpLimits())
        starts = [index for index, line in enumerate(lines) if line.type == "m"]
        ends = [*starts[1:], len(lines)]
        media = [MediaDescription(tuple(lines[start:end])) for start, end in zip(starts, ends, strict=False)]
        return cls(tuple(lines[: starts[0] if starts else None]), tuple(media), trailer)

    def __bytes__(self) -> bytes:
        lines = [*self.lines, *(line for media in self.media for line in media.lines)]
        return join(lines, self.trailer)

    def connection_of(self, media: MediaDescription) -> Connection | None:
        """Return the ``c=`` line that holds for ``media``: its own, else that of the session.

        Raises:
            SdpError: It is malformed; ``status`` is 488.
        """
        return media.connection or self.connection

    def with_origin(self, origin: Origin) -> "SessionDescription":
        """Return a copy with another ``o=`` line."""
        lines = (replace(line, value=str(origin)) if line.type == "o" else line for line in self.lines)
        return replace(self, lines=tuple(lines))

    def with_media(self, media: Iterable[MediaDescription]) -> "SessionDescription":
        """Return a copy with other media descriptions."""
        return replace(self, media=tuple(media))


def _is_attribute(line: Line, name: str) -> bool:
    return line.type == "a" and (line.value == name or line.value.startswith(f"{name}:"))


def _read(line: Line, name: str | None, parse: Callable[[str], _T]) -> _T:
    try:
        return parse(line.value if name is None else line.value[len(name) + 1 :])
    except SdpError as error:
        raise refusal(error.cause, line=line.number) from error


def _checked(line: Line, parse: Callable[[str], _T]) -> _T:
    try:
        return parse(line.value)
    except SdpError as error:
        raise SdpError(error.cause, line=line.number) from error


def _check_single(lines: tuple[Line, ...], kind: str) -> None:
    found = [line for line in lines if line.type == kind]
    if len(found) > 1:
        raise SdpError(f"more than one {kind}=", line=found[1].number)


def _check_attributes(lines: tuple[Line, ...]) -> None:
    for line in lines:
        if line.type == "a":
            _checked(line, SdpAttribute.parse)
