"""``accept-types`` and ``accept-wrapped-types``: lists of media types with wildcards (RFC 4975 section 8.6)."""

import re
from dataclasses import dataclass
from itertools import product

from .error import SdpError

# format-list = format-entry *( SP format-entry)
# format-entry = ( ( (type "/" subtype) / (type "/" "*") ) *( ";" type-param ) ) / ("*")
# type-param = parm-attribute "=" parm-value           parm-value = token / quoted-string
_TOKEN = r"[!#-'*+\-.0-9A-Z^-~]+"  # noqa: S105 (grammar, not a secret)
_QUOTED = r'"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\["\\])*"'
_ENTRY = re.compile(rf"(?:{_TOKEN}/{_TOKEN}(?:;{_TOKEN}=(?:{_TOKEN}|{_QUOTED}))*|\*)(?= |\Z)")
_SPACES = re.compile(" *")


@dataclass(frozen=True, slots=True)
class MediaTypes:
    """What an endpoint takes: ``text/plain``, ``image/*``, ``*``, with or without parameters."""

    entries: tuple[str, ...]
    """At least one, as written."""

    @classmethod
    def parse(cls, value: str) -> "MediaTypes":
        """Parse a format-list.

        Raises:
            SdpError: It is empty or breaks the grammar.
        """
        entries = []
        position = _after_spaces(value, 0)
        while position < len(value):
            match = _ENTRY.match(value, position)
            if match is None:
                raise SdpError("malformed media type")
            entries.append(match[0])
            position = _after_spaces(value, match.end())
        if not entries:
            raise SdpError("no media type")
        return cls(tuple(entries))

    def __str__(self) -> str:
        return " ".join(self.entries)

    def accepts(self, content_type: str) -> bool:
        """Tell whether a body of this Content-Type may be sent; parameters do not matter (RFC 4975 section 8.6)."""
        wanted = _bare(content_type)
        return any(_covers(_bare(entry), wanted) for entry in self.entries)

    def common_with(self, other: "MediaTypes") -> bool:
        """Tell whether there is a type that both accept."""
        pairs = product(map(_bare, self.entries), map(_bare, other.entries))
        return any(_covers(one, another) or _covers(another, one) for one, another in pairs)


def _bare(entry: str) -> str:
    return entry.partition(";")[0].strip(" \t").lower()


def _covers(pattern: str, wanted: str) -> bool:
    if pattern == "*":
        return True
    if pattern.endswith("/*"):
        return wanted.startswith(pattern[:-1])
    return pattern == wanted


def _after_spaces(value: str, position: int) -> int:
    match = _SPACES.match(value, position)
    return match.end() if match is not None else position
