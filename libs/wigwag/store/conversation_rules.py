"""What the store decides about conversations, as pure functions; ``redis/scripts`` says it again in Lua."""

from dataclasses import dataclass, fields, replace
from typing import Final

from wigwag.errors import ConflictError

from .conversations import MOST_LISTED, Conversation
from .rules import is_live, next_epoch

LONGEST_KEY: Final = 512
"""Characters of a conversation's key."""
MOST_TEXT: Final = 8_192
"""Characters of all that a conversation is, together."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A conversation and when it is forgotten, by the store's clock."""

    conversation: Conversation
    expires_at: float


def check_conversation(conversation: Conversation) -> None:
    """Refuse what is too long.

    Raises:
        ConflictError: It is.
    """
    texts = (getattr(conversation, field.name) for field in fields(Conversation) if field.type is str)
    if len(conversation.key) > LONGEST_KEY or sum(map(len, texts)) > MOST_TEXT:
        raise ConflictError(f"a conversation is longer than {LONGEST_KEY} characters of key and {MOST_TEXT} of text")


def page_size(limit: int) -> int:
    """Return how many conversations a page may have."""
    return max(1, min(limit, MOST_LISTED))


def is_there(kept: Kept | None, now: float) -> bool:
    """Whether the conversation counts as there, closed ones too."""
    return kept is not None and is_live(kept.expires_at, now)


def is_open(kept: Kept | None, now: float) -> bool:
    """Whether it counts for its parties: there, and not closed."""
    return kept is not None and is_there(kept, now) and kept.conversation.state != "closed"


def stands(kept: Kept | None, after: int, now: float) -> bool:
    """Whether the next generation has been begun already by somebody else."""
    return kept is not None and is_open(kept, now) and kept.conversation.generation > after


def opened(kept: Kept | None, wanted: Conversation, after: int, keep: float, now: float) -> Kept:
    """Return the next generation as the caller wants it."""
    known = kept.conversation.generation if kept is not None else 0
    generation = next_epoch(max(known, after), now)
    return Kept(replace(wanted, generation=generation, created_at=now), now + keep)


def put(kept: Kept | None, conversation: Conversation, keep: float, now: float) -> Kept | None:
    """Return it as it is written anew; None when what is there stays."""
    if kept is not None:
        known = kept.conversation
        is_over_there = known.generation == conversation.generation and known.state == "closed"
        if known.generation > conversation.generation or (is_over_there and _closing(known) != _closing(conversation)):
            return None
    return Kept(conversation, now + keep)


def _closing(conversation: Conversation) -> tuple[str, float, str]:
    """Return by what it is told whether a conversation was closed once: then how often it failed may be written."""
    return conversation.state, conversation.closed_at, conversation.reason


def order(key: str) -> bytes:
    """Return by what keys are put in order."""
    return key.encode(errors="surrogateescape")
