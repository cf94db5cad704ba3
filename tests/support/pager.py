"""What tests of pager mode share: an edge with a ledger, a database that can be away, who answers from where."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.support.sip_edge import DOMAIN, TRUSTED, EdgeUnderTest, SipClient
from tests.support.waiting import until
from wigwag.api.events.v1.pager_pb2 import PagerRequest
from wigwag.bus import Record
from wigwag.database import Database
from wigwag.database.ledger import Backlog, Edit, Ledger, LedgerRow, NewMessage, Outcome, Verdict
from wigwag.errors import DatabaseError
from wigwag.protocols.sip import Request
from wigwag.relay.sip.pager.outbound import PagerOutbound
from wigwag.relay.sip.pager.sender import PagerSender
from wigwag.runtime.events import PAGER_OUTBOUND, envelope
from wigwag.runtime.pager_events import result_of

BOB = f"sip:bob@{DOMAIN}"
DESK = f"sip:office@{DOMAIN}"


class BreakableLedger(Ledger):
    """A ledger whose database is away as long as it is told to be.

    Attributes:
        away: Nothing is written.
        edits_away: Messages are accepted, their states can't be changed.
    """

    away = False
    edits_away = False

    async def accept_one(self, message: NewMessage) -> Verdict:
        self._check()
        return await super().accept_one(message)

    async def apply_one(self, edit: Edit) -> Verdict:
        self._check(self.edits_away)
        return await super().apply_one(edit)

    async def backlog(self, *, recipient: str | None = None, conversation: str | None = None, most: int) -> Backlog:
        self._check()
        return await super().backlog(recipient=recipient, conversation=conversation, most=most)

    async def outcomes(self, message_ids: Iterable[str]) -> dict[str, Outcome]:
        self._check()
        return await super().outcomes(message_ids)

    def _check(self, away: bool = False) -> None:
        if self.away or away:
            raise DatabaseError("the database is away")


class PagerEdge(EdgeUnderTest):
    """An edge that keeps messages for absent users and for the service ``desk``; ``kitchen`` has a route only.

    Args:
        ledger: Where.
        database: Of the ledger.
        pager: Settings of ``relay.sip.pager``.
        routes: More rows.
        more_sip: More settings of ``relay.sip``.
        more: As ``EdgeUnderTest``.
    """

    def __init__(
        self,
        ledger: BreakableLedger,
        database: Database,
        pager: dict[str, Any],
        routes: Sequence[dict[str, Any]] = (),
        more_sip: Mapping[str, Any] = MappingProxyType({}),
        **more: Any,
    ) -> None:
        to_services = [{"user": f"{name}*", "action": "service", "service": name} for name in ("desk", "kitchen")]
        settings = {
            "pager": {"store": True, "services": ["desk"], **pager},
            "routes": [*to_services, *routes],
            **more_sip,
        }
        super().__init__(settings, ledger=ledger, **more)
        self.ledger = ledger
        self.database = database

    async def registered(self, user: str, **more: Any) -> SipClient:
        """Return a client of a user who is registered."""
        client = SipClient(self, user, **more)
        assert (await client.register()).status == 200
        return client

    def neighbour(self) -> SipClient:
        """Return a client that needs no digest."""
        return SipClient(self, "alice", host=TRUSTED, port=5060)

    async def sent(self, client: SipClient, request: Request) -> Request:
        """Send a request and let what it starts finish."""
        client.send(request)
        await self.settle()
        return request

    async def wait(self, seconds: float) -> None:
        """Let time pass, and what it starts finish."""
        self.pass_time(seconds)
        await self.settle()

    async def rows(self) -> list[LedgerRow]:
        """Return all messages that wait."""
        return await self.ledger.undelivered()

    async def row(self, message_id: str) -> LedgerRow:
        """Return a message."""
        found = await self.ledger.find(message_id)
        assert found is not None
        return found


@asynccontextmanager
async def pager_edge(directory: Path, pager: dict[str, Any] | None = None, **more: Any) -> AsyncIterator[PagerEdge]:
    """Return an edge with a ledger in a directory."""
    edges: list[PagerEdge] = []
    async with (
        Database(f"sqlite:///{directory / 'ledger.sqlite3'}") as database,
        BreakableLedger(database, clock=lambda: edges[0].runtime.wall()) as ledger,
    ):
        edges.append(PagerEdge(ledger, database, pager or {}, **more))
        yield edges[0]


class Outbox:
    """The consumer of one edge, and records that are handed to it as a bus would."""

    def __init__(self, edge: PagerEdge, pod: str = "pod-a") -> None:
        self.edge = edge
        self.consumer = PagerOutbound(PagerSender(edge.edge), edge.ledger, pod=pod, wall=edge.runtime.wall)

    def handle(self, record: Record) -> "asyncio.Task[None]":
        return asyncio.create_task(self.consumer.handle(record))

    async def row(self, row: str = "m-1/1") -> LedgerRow:
        return await self.edge.row(row)

    async def outcome(self, row: str = "m-1/1") -> tuple[int, int]:
        """Return outcome and status of the one result that is told of an attempt."""
        events = [event for event in await self.edge.ledger.pending_events() if event.id == row]
        (result,) = map(result_of, events)
        return result.outcome, result.status


def record(edge: PagerEdge, *, key: str = "conversation-1", offset: int = 0, **values: Any) -> Record:
    fields = {"message_id": "m-1", "attempt": 1, "from_uri": DESK, "to_uri": BOB, "content_type": "text/plain"}
    request = PagerRequest(**{**fields, "body": b"hello", **values})
    value = envelope(request, event_id="e", at=edge.runtime.wall(), pod="elsewhere")
    now = edge.runtime.wall()
    return Record(topic=PAGER_OUTBOUND.name, partition=0, offset=offset, key=key, value=value, headers={}, time=now)


async def arrival(client: SipClient) -> Request:
    """Return the MESSAGE that reaches a client."""
    came: list[Request] = []

    def look() -> bool:
        came.extend(message for message in client.received() if isinstance(message, Request))
        return bool(came)

    await until(look)
    return came[0]
