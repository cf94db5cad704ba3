"""What the gateway counts: plain numbers, read when somebody asks for them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from wigwag.api.ua.v1 import message_pb2, session_pb2, ua_pb2
from wigwag.errors import BusError, DatabaseError, OverloadedError, StoreError, WigwagError
from wigwag.runtime.names import (
    GATEWAY_ARCHIVED,
    GATEWAY_CONVERSATIONS,
    GATEWAY_MESSAGES,
    GATEWAY_NOTICES,
    GATEWAY_RECORDS,
    GATEWAY_RETRIES,
    GATEWAY_SESSIONS,
    GATEWAY_WAKE_CALLS,
    GATEWAY_WAKEUPS,
)
from wigwag.runtime.telemetry import Reading
from wigwag.runtime.ua_messages import STATES

from .ports import Agents, Handed

_OUTCOMES: Final = {value: state.value for state, value in STATES.items()}
_AWAY: Final = (BusError, DatabaseError, OverloadedError, StoreError)


@dataclass(slots=True)
class Counters:
    """All counters of a process."""

    messages: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By the side that sent them, and outcome."""
    sessions: Counter[str] = field(default_factory=Counter)
    """``begun``, ``answered``, ``failed``, ``ended``."""
    conversations: Counter[str] = field(default_factory=Counter)
    """``open``, ``closed``."""
    records: Counter[str] = field(default_factory=Counter)
    """By topic."""
    archive: Counter[str] = field(default_factory=Counter)
    """``written``."""
    wake_calls: Counter[str] = field(default_factory=Counter)
    """``told``, ``failed``."""
    notices: int = 0
    wakeups: int = 0
    retries: int = 0

    def readings(self) -> Iterator[Reading]:
        """Yield them."""
        for (origin, outcome), count in sorted(self.messages.items()):
            yield GATEWAY_MESSAGES.read(count, origin=origin, outcome=outcome)
        for outcome in ("begun", "answered", "failed", "ended"):
            yield GATEWAY_SESSIONS.read(self.sessions[outcome], outcome=outcome)
        for change, state in (("opened", "open"), ("closed", "closed")):
            yield GATEWAY_CONVERSATIONS.read(self.conversations[state], change=change)
        for topic, count in sorted(self.records.items()):
            yield GATEWAY_RECORDS.read(count, topic=topic)
        yield GATEWAY_NOTICES.read(self.notices)
        yield GATEWAY_WAKEUPS.read(self.wakeups)
        for outcome in ("told", "failed"):
            yield GATEWAY_WAKE_CALLS.read(self.wake_calls[outcome], outcome=outcome)
        yield GATEWAY_RETRIES.read(self.retries)
        yield GATEWAY_ARCHIVED.read(self.archive["written"])


class CountedAgents:
    """The user agent, with a look at what is asked of it and whether it answers; implements ``Agents``.

    Args:
        agents: The user agent.
        counters: Counts.

    Attributes:
        problem: Why it could not be used last; None: it could.
    """

    def __init__(self, agents: Agents, counters: Counters) -> None:
        self._agents = agents
        self._counters = counters
        self.problem: str | None = None

    async def start(self, request: ua_pb2.StartSessionRequest) -> session_pb2.Session:
        """Call a session-mode user."""
        with _Watching(self):
            session = await self._agents.start(request)
        self._counters.sessions["begun"] += 1
        return session

    async def answer(self, session_id: str, labels: dict[str, str]) -> None:
        """Take a session that was offered."""
        with _Watching(self):
            await self._agents.answer(session_id, labels)
        self._counters.sessions["answered"] += 1

    async def reject(self, session_id: str, status: int, reason: str) -> None:
        """Turn it away."""
        with _Watching(self):
            await self._agents.reject(session_id, status, reason)

    async def end(self, session_id: str) -> None:
        """Hang up."""
        with _Watching(self):
            await self._agents.end(session_id)
        self._counters.sessions["ended"] += 1

    async def session(self, session_id: str) -> session_pb2.Session:
        """Return a session."""
        with _Watching(self):
            return await self._agents.session(session_id)

    async def send(self, messages: Sequence[ua_pb2.OutboundMessage]) -> list[Handed]:
        """Hand in messages."""
        with _Watching(self):
            return await self._agents.send(messages)

    async def settle(
        self, message_id: str, state: "message_pb2.DeliveryState", *, status: int = 0, reason: str = ""
    ) -> None:
        """Say what became of a message of a session-mode user."""
        with _Watching(self):
            await self._agents.settle(message_id, state, status=status, reason=reason)
        self._counters.messages["session", _OUTCOMES.get(state, "unspecified")] += 1


class _Watching:
    """Takes note of whether the user agent answers."""

    __slots__ = ("_agents",)

    def __init__(self, agents: CountedAgents) -> None:
        self._agents = agents

    def __enter__(self) -> None:
        """Begin to look."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """See how it ended: what it refuses it has understood."""
        if isinstance(error, _AWAY):
            self._agents.problem = str(error) or type(error).__name__
        elif error is None or isinstance(error, WigwagError):
            self._agents.problem = None
