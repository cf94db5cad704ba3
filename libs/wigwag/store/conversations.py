"""Conversations of the gateway in the store: the part of the port that gateway pods use (DESIGN.md section 6).

Theory of operation. A conversation joins a page-mode user and a session-mode user, by one ua session at a time: its
*generation* is max(previous + 1, wall clock in milliseconds), higher with each session, and every write names the one
that it means. So of many who open a conversation at once one succeeds, and the news of a session that is gone changes
nothing. No pod owns a conversation.

What was closed stays for a while, so that its generation goes on to grow. A store that came back empty knows no
conversations: who has news of a session writes it again (``put_conversation``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

MOST_LISTED: Final = 1_000
"""Conversations of a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A conversation as all pods know it; all text is printable."""

    key: str
    """Conversation key, at most 512 characters."""
    page: str
    """Canonical address of the page-mode side."""
    session: str
    """Canonical address of the session-mode side."""
    session_id: str = ""
    """The ua session of this generation; empty: being started, or closed."""
    state: str = "starting"
    """``starting``, ``open`` or ``closed``."""
    started_by: str = "page"
    """Which side began this generation: ``page`` or ``session``."""
    generation: int = 0
    """Set by ``open_conversation``."""
    created_at: float = 0.0
    """When this generation began, by the store's clock; set by ``open_conversation``."""
    failures: int = 0
    """Sessions in a row that could not be set up."""
    closed_at: float = 0.0
    """When it was closed, by the closing pod's clock of the store; 0: it is not."""
    reason: str = ""
    """Why it was closed."""


class Conversations(Protocol):
    """Every operation may raise ``StoreError``: the store can't be reached, or not in time."""

    async def open_conversation(
        self, wanted: Conversation, *, after: int, most: int, keep: float
    ) -> tuple[Conversation, bool]:
        """Begin the next generation, unless somebody else has.

        Args:
            wanted: The conversation as it is to be, without a generation.
            after: The generation that is over, or is to be replaced whatever its state; 0: he knows of none.
            most: Open conversations that ``wanted.page`` may have, and ``wanted.session`` likewise.
            keep: Seconds until it is forgotten unless written again.

        Returns:
            The conversation as it stands, and whether the caller's became it. Not the caller's: one of a higher
            generation than ``after`` is not closed.

        Raises:
            OverloadedError: One of both has as many as he may have.
        """

    async def put_conversation(self, conversation: Conversation, *, keep: float) -> Conversation:
        """Write a conversation of this generation anew; one of a higher generation stays.

        Within a generation it goes from starting to open to closed, and never back: then only the rest is written. How
        often it failed may be written after it was closed.

        Returns:
            The conversation as it stands.
        """

    async def find_conversations(self, keys: Sequence[str]) -> dict[str, Conversation]:
        """Return those that there are, closed ones too, by key."""

    async def list_conversations(
        self, address: str = "", *, after: str = "", limit: int = 100
    ) -> Sequence[Conversation]:
        """Return conversations that are not closed, in the order of their keys.

        Args:
            address: Only those with this canonical address on either side; empty: all.
            after: Only keys greater than this.
            limit: At most so many, up to ``MOST_LISTED``.
        """
