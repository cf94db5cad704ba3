"""Sessions of the user agent in the store, and which pod owns each: the part of the port that ua pods use.

Theory of operation (DESIGN.md section 6). A session has one owner, by a *lease* that the owner renews; what it writes
carries the *fencing token* of its claim, max(previous + 1, wall clock in milliseconds); a lower one changes nothing.
A session whose lease has run out, or was given back, may be claimed by any pod, and keeps its content. What a pod owns
it also keeps, and writes again when the store comes back empty. An ended session stays to be looked at for a while, and
never gets an owner again.

A store that lost its last writes (a replica took over) may know a lower token than the caller's: the caller is the
newer one then, and ``renew_agent_sessions`` makes it the owner again.

``content`` is opaque here: all that has to be known to go on with the session elsewhere. Ids of sessions, names of
applications and ids of pods are printable and without blanks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

MOST_CONTENT: Final = 65_536
"""Bytes of a session's content."""
LONGEST_LEASE: Final = 60.0
"""Seconds; a longer one counts as this. It bounds how late a clock that was set back makes a takeover."""
MOST_LISTED: Final = 1_000
"""Sessions of a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSession:
    """A session of the user agent as all pods know it."""

    session_id: str
    application: str
    content: bytes
    """At most ``MOST_CONTENT`` bytes."""
    pod: str = ""
    """The owner; empty: it was given back, or has ended. An owner whose lease has run out stands here until another
    claims."""
    token: int = 0
    """Fencing token of the last claim; set by ``create_agent_session`` and ``claim_agent_session``."""
    lease_until: float = 0.0
    """In whole milliseconds of the store's clock; set by the store, 0 when it has ended."""
    ended: bool = False
    expires_at: float = 0.0
    """When it is forgotten, by the store's clock, owned or not: renewing a lease does not change it."""


class AgentSessions(Protocol):
    """Every operation may raise ``StoreError``: the store can't be reached, or not in time.

    Those that take content raise ``ConflictError`` when it is longer than ``MOST_CONTENT``.
    """

    async def create_agent_session(self, session: AgentSession, *, lease: float) -> AgentSession | None:
        """Write a new session, owned by ``session.pod``; None when there is one of that id, ended ones too.

        When an earlier call's answer was lost, None may mean the caller's own: look at its pod.

        Args:
            session: The session; its lease is set, and its token to one higher than it has.
            lease: Seconds until it may be claimed by others unless renewed.

        Returns:
            The session as it is kept.
        """

    async def claim_agent_session(
        self, session_id: str, pod: str, *, lease: float, dead: Sequence[str] = ()
    ) -> AgentSession | None:
        """Become the owner of a session that was given back, whose lease has run out, or whose owner is dead.

        Args:
            session_id: The session.
            pod: The caller; what it owns already it gets with a new token.
            lease: Seconds until others may claim it.
            dead: Pods whose leases count as run out.

        Returns:
            The session with the new token when the caller owns it now; as it stands, with its owner, when another
            does or it has ended; None when there is none.
        """

    async def renew_agent_sessions(self, pod: str, tokens: Mapping[str, int], *, lease: float) -> Sequence[str]:
        """Renew the leases of sessions (id -> token); not one step: a failure leaves some renewed.

        Returns:
            Those that are the caller's no more: claimed by another, given back, or ended. One that is not there is not
            among them: the store may have come back empty, and the caller is to write it again.
        """

    async def save_agent_session(self, session_id: str, token: int, content: bytes, *, expires_at: float) -> None:
        """Write the content anew.

        Raises:
            MissingError: It is not there.
            FencedError: It has a higher token, or has ended.
        """

    async def release_agent_session(self, session_id: str, token: int) -> None:
        """Give it back, with its content: others may claim it at once; nothing if it is not the caller's."""

    async def end_agent_session(self, session_id: str, token: int, content: bytes, *, keep: float) -> None:
        """Note that it is over; it is kept for ``keep`` seconds to be looked at. Once more with the token is no error.

        Raises:
            MissingError: It is not there.
            FencedError: It has a higher token.
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
            limit: At most so many, up to ``MOST_LISTED``; fewer are returned only when there are no more.
        """

    async def agent_sessions_of(self, pods: Sequence[str]) -> Sequence[str]:
        """Return the ids of sessions that these pods own, or owned last and nobody has claimed; in order.

        What a pod gave back, and what has ended, is not among them; what has expired may be.
        """

    async def ownerless_agent_sessions(self, *, limit: int = 100) -> Sequence[str]:
        """Return ids of sessions whose lease has run out or was given back, oldest lease first.

        To be called every few seconds by somebody: the store tidies up on this occasion.
        """

    async def put_agent_sessions(self, sessions: Iterable[AgentSession], *, lease: float) -> Sequence[str]:
        """Write the caller's sessions again, as they are but for a new lease, where there is none with a higher token.

        What has ended in the store with the same token stays so, and what has expired is passed over. Not one step: a
        failure leaves some written, and all may be written again.

        Returns:
            Ids of those that are another's by now, or have ended.
        """
