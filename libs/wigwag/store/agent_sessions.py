"""Sessions of the user agent in the store, and which pod owns each: the part of the port that ua pods use.

Theory of operation (DESIGN.md section 6). A session has one owner, by a *lease* that the owner renews; what it writes
carries the *fencing token* of its claim, max(previous + 1, wall clock in milliseconds); a lower one changes nothing.
A session whose lease has run out, or was given back, may be claimed by any pod, and keeps its content. What a pod owns
it also keeps, and writes again when the store comes back empty. An ended session stays to be looked at for a while.

``content`` is opaque here: all that has to be known to go on with the session elsewhere.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSession:
    """A session of the user agent as all pods know it."""

    session_id: str
    application: str
    content: bytes
    """At most 64 KiB."""
    pod: str = ""
    """The owner; empty: nobody, or it has ended."""
    token: int = 0
    """Fencing token of the owner's claim; set by ``claim_agent_session``."""
    lease_until: float = 0.0
    """By the store's clock; set by the store."""
    ended: bool = False
    expires_at: float = 0.0
    """When it is forgotten, by the store's clock."""


class AgentSessions(Protocol):
    """Every operation may raise ``StoreError``: the store can't be reached, or not in time."""

    async def create_agent_session(self, session: AgentSession, *, lease: float) -> AgentSession | None:
        """Write a new session, owned by ``session.pod``; None when there is one of that id.

        Args:
            session: The session; token and lease are set.
            lease: Seconds until it may be claimed by others unless renewed.

        Returns:
            The session with its token.
        """

    async def claim_agent_session(
        self, session_id: str, pod: str, *, lease: float, dead: Sequence[str] = ()
    ) -> AgentSession | None:
        """Become the owner of a session whose lease has run out, or whose owner is ``pod`` itself or one of ``dead``.

        Returns:
            The session with the new token when the caller owns it now; as it stands, with its owner, when another
            does or it has ended; None when there is none.
        """

    async def renew_agent_sessions(self, pod: str, tokens: Mapping[str, int], *, lease: float) -> Sequence[str]:
        """Renew the leases of sessions (id -> token); returns those ids that are the caller's no more."""

    async def save_agent_session(self, session_id: str, token: int, content: bytes, *, expires_at: float) -> None:
        """Write the content anew.

        Raises:
            FencedError: It has a higher token, has ended, or is not there.
        """

    async def release_agent_session(self, session_id: str, token: int) -> None:
        """Give it back, with its content: others may claim it at once; nothing if it is not the caller's."""

    async def end_agent_session(self, session_id: str, token: int, content: bytes, *, keep: float) -> None:
        """Note that it is over; it is kept for ``keep`` seconds to be looked at.

        Raises:
            FencedError: It has a higher token, or is not there.
        """

    async def find_agent_sessions(self, session_ids: Sequence[str]) -> Mapping[str, AgentSession]:
        """Return those that there are."""

    async def list_agent_sessions(
        self, application: str = "", *, after: str = "", limit: int = 100
    ) -> Sequence[AgentSession]:
        """Return sessions in the order of their ids, ended ones too.

        Args:
            application: Only its; empty: of all.
            after: Only ids greater than this.
            limit: At most so many.
        """

    async def agent_sessions_of(self, pods: Sequence[str]) -> Sequence[str]:
        """Return the ids of sessions that these pods own, or owned when they were last seen."""

    async def ownerless_agent_sessions(self, *, limit: int = 100) -> Sequence[str]:
        """Return ids of sessions whose lease has run out or was given back, oldest lease first."""

    async def put_agent_sessions(self, sessions: Iterable[AgentSession], *, lease: float) -> Sequence[str]:
        """Write the caller's sessions again, as they are, where there is none with a higher token.

        Returns:
            Ids of those that are another's by now.
        """
