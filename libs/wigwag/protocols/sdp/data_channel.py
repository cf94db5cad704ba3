"""Data channels of an SCTP association: ``a=dcmap`` and ``a=dcsa`` (RFC 8864; for MSRP, RFC 8873)."""

import re
from dataclasses import dataclass
from typing import Final

from .description import SdpAttribute
from .error import SdpError
from .escapes import decoded

# dcmap-value = dcmap-stream-id [ SP dcmap-opt *(";" dcmap-opt) ]            dcmap-stream-id = 1*5DIGIT
# dcmap-opt = ordering-opt / subprotocol-opt / label-opt / maxretr-opt / maxtime-opt / priority-opt
# quoted-string = DQUOTE *(quoted-char / escaped) DQUOTE                     escaped = "%" HEXDIG HEXDIG
_OPTION = re.compile(
    r'(?:(?P<text>subprotocol|label)="(?P<string>[^"\x00-\x1f\x7f]*)"'
    r"|(?P<count>max-retr|max-time|priority)=(?P<number>[0-9]{1,10})"
    r"|ordered=(?P<ordered>true|false))(?P<more>;|\Z)"
)
_STREAM = re.compile(r"(?P<id>[0-9]{1,5})(?:\Z| +)")
_LARGEST_STREAM: Final = 65_535


@dataclass(frozen=True, slots=True)
class DcMap:
    """One data channel. An MSRP session's has the subprotocol ``msrp`` (RFC 8873 section 4.3)."""

    stream_id: int
    """0 to 65535."""
    subprotocol: str = ""
    label: str = ""
    ordered: bool = True
    max_retr: int | None = None
    max_time: int | None = None
    """Milliseconds."""
    priority: int | None = None

    @classmethod
    def parse(cls, value: str) -> "DcMap":
        """Parse the attribute's value.

        Raises:
            SdpError: It breaks the grammar, or an option comes twice.
        """
        stream_id, position = _stream(value, "a=dcmap")
        options: dict[str, str] = {}
        while position < len(value):
            match = _OPTION.match(value, position)
            if match is None or (match["more"] and match.end() == len(value)):
                raise SdpError("malformed a=dcmap")
            name = match["text"] or match["count"] or "ordered"
            if name in options:
                raise SdpError("a=dcmap with an option given twice")
            options[name] = decoded(match["string"]) if match["text"] else match["number"] or match["ordered"]
            position = match.end()
        return cls(
            stream_id,
            options.get("subprotocol", ""),
            options.get("label", ""),
            options.get("ordered", "true") == "true",
            _number(options, "max-retr"),
            _number(options, "max-time"),
            _number(options, "priority"),
        )

    @property
    def is_msrp(self) -> bool:
        """Whether the channel carries MSRP."""
        return self.subprotocol.lower() == "msrp"


@dataclass(frozen=True, slots=True)
class DcSa:
    """An attribute of one data channel, such as its ``path``."""

    stream_id: int
    attribute: SdpAttribute

    @classmethod
    def parse(cls, value: str) -> "DcSa":
        """Parse the attribute's value.

        Raises:
            SdpError: It breaks the grammar.
        """
        stream_id, position = _stream(value, "a=dcsa")
        if position == len(value):
            raise SdpError("a=dcsa without an attribute")
        return cls(stream_id, SdpAttribute.parse(value[position:]))

    def __str__(self) -> str:
        return f"{self.stream_id} {self.attribute}"


def _stream(value: str, where: str) -> tuple[int, int]:
    match = _STREAM.match(value)
    if match is None or int(match["id"]) > _LARGEST_STREAM:
        raise SdpError(f"{where} without a stream id of 0 to {_LARGEST_STREAM}")
    return int(match["id"]), match.end()


def _number(options: dict[str, str], name: str) -> int | None:
    return int(options[name]) if name in options else None
