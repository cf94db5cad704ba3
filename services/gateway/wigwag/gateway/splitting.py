"""A text that is too large for one MESSAGE, in parts that people can put together (RFC 3428 section 8).

Theory of operation. Each part begins with a mark, ``(1/3) ``, and is no larger than the limit. A cut falls behind a
blank if there is one in the last quarter of a part, else between two characters as people see them: never before a
combining mark, a joiner or what it joins, a variation selector, a skin tone, the second half of a flag, a further jamo
of a syllable, or a line feed behind its carriage return. (The rules of Unicode annex 29 that matter where text is cut,
not all of them.) The same text is cut into the same parts whenever it is asked.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from wigwag.database.ledger import State

from .config import GatewaySettings
from .content import PageContent
from .kinds import PLAIN, RefusedError, bare, parameter

MOST_PARTS: Final = 99
"""Above, a text is refused; also what a mark has room for."""
SMALLEST_PART: Final = 64
"""Octets that a part may have at least, so that there is room for what is said beside the mark."""
LONGEST_CHARACTER: Final = 64
"""Code points of a character as people see it; what claims to have more is cut."""

_UTF_8: Final = ("utf-8", "utf8", "us-ascii", "ascii", "")
_JOINER: Final = "\u200d"
_BLANKS: Final = (" ", "\n", "\t", "\u3000")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a message, or all of it."""

    message_id: str
    """``<id>.<n>``, n from 1 on; ``<id>`` when it is all."""
    content: PageContent


def parts_of(content: PageContent, message_id: str, settings: GatewaySettings, *, overhead: int = 0) -> list[Part]:
    """Return a message as it is sent, in one part or many.

    Args:
        content: The message.
        message_id: Of the whole.
        settings: What is done with much, and how much that is.
        overhead: Octets that the rest of the MESSAGE takes; see ``overhead_of``.

    Raises:
        RefusedError: 413: it is too large, and may not or can't be split.
    """
    room = settings.limits.page_bytes - overhead
    if len(content.body) <= room or settings.large == "tcp":
        return [Part(message_id, content)]
    if settings.large == "refuse":
        raise RefusedError(413, f"more than {max(room, 0)} octets for a page-mode recipient")
    texts = split(_text(content), room)
    return [
        Part(f"{message_id}.{number}", replace(content, body=text.encode())) for number, text in enumerate(texts, 1)
    ]


def overhead_of(page_uri: str, session_uri: str, content: PageContent) -> int:
    """Return how many octets the head of a MESSAGE takes, as the edge sends it, at the most.

    Besides what is counted here it has Via twice, Max-Forwards, Route, Call-ID, CSeq, Expires and Content-Length.
    """
    counted = 3 * len(page_uri.encode()) + 2 * len(session_uri.encode()) + len(content.content_type)
    return 700 + counted + sum(len(name) + len(value.encode()) + 4 for name, value in content.headers)


def _text(content: PageContent) -> str:
    """Return the text of a body that can be split.

    Raises:
        RefusedError: 413: it is none.
    """
    is_text = bare(content.content_type) == PLAIN and parameter(content.content_type, "charset").lower() in _UTF_8
    if not is_text:
        raise RefusedError(413, "only text/plain in UTF-8 can be split")
    try:
        return content.body.decode()
    except UnicodeDecodeError:
        raise RefusedError(413, "only text/plain in UTF-8 can be split") from None


def split(text: str, room: int) -> list[str]:
    """Return a text in marked parts of at most ``room`` octets of UTF-8.

    Raises:
        RefusedError: 413: there would be too many, or there is no room for any.
    """
    if room < SMALLEST_PART:
        raise RefusedError(413, "no room for a part")
    for digits in (1, 2):
        # "(1/9) ", "(01/42) " would need no more room than this.
        parts = _cut_up(text, room - len("(/) ") - 2 * digits, 10**digits - 1)
        if parts is not None:
            return [f"({number}/{len(parts)}) {part}" for number, part in enumerate(parts, 1)]
    raise RefusedError(413, f"more than {MOST_PARTS} parts")


def _cut_up(text: str, room: int, most: int) -> list[str] | None:
    parts: list[str] = []
    position = 0
    while position < len(text):
        if len(parts) == most:
            return None
        end = _end_of_part(text, position, room)
        parts.append(text[position:end])
        position = end
    return parts


def _end_of_part(text: str, start: int, room: int) -> int:
    """Return where a part that begins at ``start`` ends."""
    end = _reach(text, start, room)
    if end == len(text):
        return end
    for at in range(end, max(start, end - (end - start) // 4), -1):
        if text[at - 1] in _BLANKS and not continues(text, at, start):
            return at
    return boundary(text, start, end)


def _reach(text: str, start: int, room: int) -> int:
    """Return the first position whose character has no room any more."""
    end = min(len(text), start + room)
    while len(text[start:end].encode()) > room:
        # Each character too many takes an octet at least, and four at most.
        end -= max(1, (len(text[start:end].encode()) - room) // 4)
    return end


def boundary(text: str, start: int, end: int) -> int:
    """Return the last position up to ``end`` that is between two characters as people see them.

    ``end`` itself when there is none behind ``start``: then a single one is cut.
    """
    for at in range(end, max(start, end - LONGEST_CHARACTER), -1):
        if not continues(text, at, start):
            return at
    return end


def continues(text: str, at: int, start: int = 0) -> bool:
    """Tell whether what is at a position belongs to the character before it; one begins at ``start``, before that."""
    if not 0 < at < len(text):
        return False
    before, here = text[at - 1], text[at]
    if here == _JOINER or before == _JOINER or (before == "\r" and here == "\n"):
        return True
    if unicodedata.category(here) in ("Mn", "Mc", "Me") or "\U0001f3fb" <= here <= "\U0001f3ff":
        return True
    if "\U000e0020" <= here <= "\U000e007f" or "\u1160" <= here <= "\u11ff":
        return True  # Tags of flags, and jamo behind the first of a syllable.
    return _is_regional(here) and _regionals(text, start, at) % 2 == 1


def _is_regional(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _regionals(text: str, start: int, at: int) -> int:
    """Return how many regional indicators stand before a position: two are a flag."""
    first = at
    while first > start and _is_regional(text[first - 1]):
        first -= 1
    return at - first


def whole(states: Sequence[State]) -> State | None:
    """Return the state of a message from those of its parts; None: that is not known yet.

    It is delivered when all parts are, and failed as soon as one is.
    """
    if State.FAILED in states:
        return State.FAILED
    if State.ACCEPTED in states or not states:
        return None
    if State.EXPIRED in states:
        return State.EXPIRED if set(states) == {State.EXPIRED} else State.FAILED
    if State.UNCONFIRMED in states:
        return State.UNCONFIRMED
    return State.DISPLAYED if set(states) == {State.DISPLAYED} else State.DELIVERED


def part_ids(message_id: str, count: int) -> Iterator[str]:
    """Yield the ids of the parts of a message that was split into so many; of one that was not, its own."""
    if count == 1:
        yield message_id
    else:
        yield from (f"{message_id}.{number}" for number in range(1, count + 1))


def whole_id(part_id: str) -> tuple[str, int]:
    """Return the id of the message that a part is of, and the part's number; 0: it is all of it."""
    message_id, dot, number = part_id.rpartition(".")
    return (message_id, int(number)) if dot and number.isdecimal() and number.isascii() else (part_id, 0)
