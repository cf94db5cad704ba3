"""What tests of the store need: a clock that goes where it is told, records, and stores to open by name."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from wigwag.store import (
    AgentSession,
    Binding,
    Conversation,
    Flow,
    Gap,
    Notice,
    Owner,
    RecordState,
    SessionRecord,
    Store,
)
from wigwag.store.memory import MemoryStore
from wigwag.store.redis import RedisStore

PATIENT = 30.0
"""Seconds for an operation where no server is away: the machine may stand still for a while."""

ALICE = Owner("alice", "example.com", "msrp://alice.example:7777/a;tcp")
BOB = Owner("bob", "example.com", "msrp://bob.example:7777/b;tcp")


@dataclass(slots=True)
class WallClock:
    """A wall clock for a store."""

    now: float = field(default_factory=time.time)

    def __call__(self) -> float:
        return self.now


@dataclass(slots=True)
class Backend:
    """Where state lives: each opened store is as another pod sees it."""

    kind: str
    url: str
    options: dict[str, Any]
    clock: WallClock
    _memory: MemoryStore | None = None

    def new(self, **options: Any) -> AbstractAsyncContextManager[Store]:
        """Return a store, to be entered."""
        if self.kind != "memory":
            return RedisStore(self.url, **{"clock": self.clock, "timeout": PATIENT, **self.options, **options})
        if self._memory is None:  # a process that is alone: what it opens is the same
            self._memory = MemoryStore(clock=self.clock)
        return self._memory


def record(
    session_id: str = "s1",
    *,
    now: float,
    pod: str = "pod-a",
    connection: int = 1,
    lifetime: float = 300.0,
    owner: Owner = ALICE,
    epoch: int = 0,
    state: RecordState = RecordState.ACTIVE,
    fencing_token: int = 0,
) -> SessionRecord:
    """Return a record as a pod would write it."""
    return SessionRecord(
        session_id=session_id,
        uri=f"msrp://relay.example:2855/{session_id};tcp",
        owner=owner,
        client_uri=owner.client_uri.upper(),
        client_host="",
        listener="public",
        created=now,
        expires_at=now + lifetime,
        pod=pod,
        connection=connection,
        epoch=epoch,
        state=state,
        fencing_token=fencing_token,
    )


FLOW = Flow(pod="pod-a", listener="sip-udp", connection=0, transport="udp", remote="198.51.100.7:5060")


def binding(
    key: str = "sip:alice@198.51.100.7",
    *,
    now: float,
    lifetime: float = 3600.0,
    flow: Flow | None = FLOW,
    q: int = 1000,
    call_id: str = "c1@phone",
    cseq: int = 1,
    updated_at: float = 0.0,
    writer: str = "pod-a",
) -> Binding:
    """Return a binding as a registrar would write it."""
    return Binding(
        contact=key,
        key=key,
        call_id=call_id,
        cseq=cseq,
        expires_at=now + lifetime,
        q=q,
        params='+sip.instance="<urn:uuid:0c1e>";audio',
        instance="<urn:uuid:0c1e>",
        reg_id=1,
        path=("<sip:edge.example;lr>", "<sip:10.0.0.1;lr;ob>"),
        flow=flow,
        user_agent="Phone/1.0",
        updated_at=updated_at,
        push="provider=apns",
        writer=writer,
    )


def agent_session(
    session_id: str = "u1",
    *,
    now: float,
    application: str = "helpdesk",
    pod: str = "ua-a",
    lifetime: float = 3600.0,
    content: bytes = b"\x00dialog\xff",
    token: int = 0,
    ended: bool = False,
) -> AgentSession:
    """Return a session of the user agent as a pod would create it."""
    return AgentSession(
        session_id=session_id,
        application=application,
        content=content,
        pod=pod,
        token=token,
        ended=ended,
        expires_at=now + lifetime,
    )


def conversation(
    page: str = "sip:alice@example.com", session: str = "sip:bob@example.com", **fields: Any
) -> Conversation:
    """Return a conversation as a pod would open it."""
    return Conversation(key=" ".join(sorted((page, session))), page=page, session=session, **fields)


async def claim(store: Store, wanted: SessionRecord) -> SessionRecord:
    """Claim a session without conditions and return its record."""
    claimed = await store.claim_session(wanted, must_exist=False, resume_window=60.0)
    assert claimed is not None
    return claimed.record


class Listener:
    """Collects notices while it is entered; it listens once it is."""

    def __init__(self, store: Store) -> None:
        self._notices: AsyncIterator[Notice] = store.changes()

    async def __aenter__(self) -> "Listener":
        assert await anext(self._notices) == Gap()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._notices.aclose()  # type: ignore[attr-defined]

    async def next(self) -> Notice:
        """Return the next notice."""
        return await anext(self._notices)


Opener = Callable[..., AbstractAsyncContextManager[Store]]
