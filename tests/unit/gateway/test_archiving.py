"""What is archived of the gateway's messages: from real rows, told by records as the sweep publishes them."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.ledger import START, ManualClock, new_message
from wigwag.bus import Message, Record
from wigwag.database import Database, MessageArchive, MessageFilter
from wigwag.database.archive import STEP
from wigwag.database.ledger import Change, Claim, Ledger, LedgerEvent, State
from wigwag.gateway.archiving import Archiving, Terms
from wigwag.gateway.config import ArchiveDomainSettings, GatewayArchiveSettings
from wigwag.runtime.agents import GATEWAY
from wigwag.runtime.conversations import conversation_key
from wigwag.runtime.ledger_events import LedgerEvents
from wigwag.runtime.ua_messages import SessionFields, conversation_of, headers_of

ALICE, BOB = "sip:alice@example.com", "sip:bob@example.com"
BODIES = GatewayArchiveSettings(retention=100, domains=(ArchiveDomainSettings(domain="example.com", bodies=True),))


class Recording:
    """A bus that keeps what is published as records."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def declare(self, *topics: object) -> None:
        """All are known."""

    async def publish_many(self, topic: str, messages: list[Message]) -> None:
        for each in messages:
            self.records.append(
                Record(
                    topic=topic,
                    partition=0,
                    offset=len(self.records),
                    key=each.key,
                    value=each.value,
                    headers=each.headers,
                    time=START,
                )
            )


class World:
    """A ledger, and what its sweep would publish."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self.ledger = ledger
        self.archive = MessageArchive(database)

    async def told(self) -> list[Record]:
        bus = Recording()
        events: list[LedgerEvent] = await self.ledger.pending_events()
        await LedgerEvents(bus, "pod").publish(events)  # type: ignore[arg-type]
        return [
            record for record in bus.records if record.topic in ("wigwag.messages.states", "wigwag.sessions.events")
        ]

    async def archived(self, settings: GatewayArchiveSettings, times: int = 1) -> list[tuple[str, bytes | None]]:
        counters: Counter[str] = Counter()
        archiving = Archiving(self.ledger, self.archive, settings, counters)
        async with archiving.batches:
            for record in await self.told() * times:
                await archiving.handle(record)
        return [(message.id, message.body) for message in await self.archive.search(MessageFilter())]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with (
        Database(f"sqlite:///{tmp_path / 'ledger.sqlite3'}") as database,
        Ledger(database, clock=ManualClock()) as ledger,
    ):
        yield World(database, ledger)


def by_page(message_id: str, **more: object) -> object:
    conversation = conversation_key(ALICE, BOB, GATEWAY)
    return new_message(message_id, direction="pager-inbound", conversation=conversation, **more)


def in_session(message_id: str, application: str = GATEWAY, **more: object) -> object:
    fields = SessionFields(session_id="s", application=application)
    return new_message(
        message_id,
        service="ua",
        direction="inbound",
        sender=BOB,
        recipient=f"{ALICE};transport=tls",
        conversation=conversation_of("s"),
        headers=headers_of(fields),
        **more,
    )


async def test_one_look_forgets_as_much_as_comes_until_the_next(world: World) -> None:
    for message_id in ("old", "new"):
        await world.ledger.accept_one(by_page(message_id))  # type: ignore[arg-type]
        await world.ledger.apply_one(Change(id=message_id, version=1, state=State.FAILED, status=486, reason="Busy"))
    await world.archived(BODIES)
    old, new = await world.archive.search(MessageFilter())
    many = [replace(old, position=10 + number, id=f"old-{number}") for number in range(2 * STEP)]
    await world.archive.put([*many, replace(new, position=5_000, id="kept", until=old.until + 1)])
    await Archiving(world.ledger, world.archive, BODIES, Counter()).forget(old.until)
    assert [message.id for message in await world.archive.search(MessageFilter())] == ["kept"]


async def test_each_final_message_of_the_gateway_is_archived_once(world: World) -> None:
    for message in (
        by_page("page"),
        by_page("waits"),
        in_session("session"),
        in_session("helpdesk's", "helpdesk"),
        new_message("attempt/1", direction="pager-outbound"),
        by_page("types", content_type="application/im-iscomposing+xml"),
    ):
        await world.ledger.accept_one(message)  # type: ignore[arg-type]
    await world.ledger.apply_one(Claim(id="page", owner="f" * 32, token=1))
    for message_id in ("page", "session", "helpdesk's", "attempt/1", "types"):
        change = Change(id=message_id, version=1, state=State.FAILED, status=486, reason="Busy")
        await world.ledger.apply_one(change)
    assert await world.archived(BODIES, times=2) == [("page", b"hello"), ("session", b"hello")]
    page, session = await world.archive.search(MessageFilter(conversation=conversation_key(ALICE, BOB, GATEWAY)))
    assert (page.origin, page.way, page.state, page.status, page.until) == (
        "page",
        "session",
        State.FAILED,
        486,
        START + 100,
    )
    assert (session.origin, session.way, session.sender, session.recipient) == ("session", "", BOB, ALICE)


async def test_bodies_are_kept_only_where_a_setting_says_so(world: World) -> None:
    await world.ledger.accept_one(by_page("page"))  # type: ignore[arg-type]
    await world.ledger.apply_one(Change(id="page", version=1, state=State.DELIVERED))
    assert await world.archived(GatewayArchiveSettings()) == [("page", None)]


async def test_a_message_that_is_displayed_later_is_displayed_in_the_archive(world: World) -> None:
    await world.ledger.accept_one(by_page("page"))  # type: ignore[arg-type]
    for version, state in ((1, State.DELIVERED), (2, State.DISPLAYED)):
        await world.ledger.apply_one(Change(id="page", version=version, state=state))
        await world.archived(GatewayArchiveSettings())
        (message,) = await world.archive.search(MessageFilter())
        assert message.state is state


def test_of_two_domains_the_stricter_one_decides_and_one_that_is_not_named_has_no_say() -> None:
    strict = ArchiveDomainSettings(domain="Strict.example", retention=10)
    generous = ArchiveDomainSettings(domain="generous.example", retention=1_000, bodies=True)
    terms = Terms(GatewayArchiveSettings(retention=50, domains=(strict, generous)))
    assert terms.of("sip:a@nobody.example", "sip:b@elsewhere.example") == (50, False)
    assert terms.of("sip:a@generous.example", "sip:b@elsewhere.example") == (1_000, True)
    assert terms.of("sip:a@generous.example", "sip:b@strict.example") == (10, False)
