"""What the archive of the gateway's messages has to do on every database, and the removal of a user's bodies."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.ledger import START, ManualClock, new_message
from wigwag.database import ArchivedMessage, BlobStore, Database, MessageArchive, MessageFilter
from wigwag.database.ledger import Change, Ledger, State

ALICE, BOB, CAROL = (f"sip:{name}@example.com" for name in ("alice", "bob", "carol"))


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with Database(url) as opened:
        yield opened


@pytest.fixture
def archive(database: Database) -> MessageArchive:
    return MessageArchive(database)


def archived(position: int, sender: str = ALICE, recipient: str = BOB) -> ArchivedMessage:
    return ArchivedMessage(
        position=position,
        id=f"m-{position}",
        conversation=" ".join(sorted((sender, recipient))),
        origin="page",
        way="session",
        sender=sender,
        recipient=recipient,
        created=START + position,
        settled=START + position + 0.5,
        state=State.DELIVERED,
        version=2,
        status=200,
        reason="OK",
        content_type="text/plain",
        size=5,
        body=b"hello",
        until=START + 100 + position,
    )


async def test_message_is_found_as_it_was_put_however_often(archive: MessageArchive) -> None:
    for _ in range(2):
        await archive.put([archived(1), archived(2)])
    assert await archive.find("m-1") == archived(1)
    assert await archive.find("m-3") is None
    assert await archive.find("grüße\0") is None
    assert await archive.search(MessageFilter()) == [archived(1), archived(2)]


async def test_later_version_replaces_the_outcome_and_an_earlier_one_does_not(archive: MessageArchive) -> None:
    displayed = replace(archived(1), state=State.DISPLAYED, version=3, reason="Seen", settled=START + 9)
    await archive.put([archived(1)])
    await archive.put([archived(1), displayed])
    await archive.put([archived(1)])
    assert await archive.find("m-1") == displayed


async def test_what_was_removed_is_in_no_file_of_sqlite_while_the_node_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "archive.sqlite3"
    async with Database(f"sqlite:///{path}") as database:
        archive = MessageArchive(database)
        await archive.put([replace(archived(1), body=b"a secret"), archived(2, CAROL, CAROL)])
        assert b"a secret" in content_of(path)
        assert await archive.forget_bodies(ALICE) == 1
        assert b"a secret" not in content_of(path)
        assert await archive.find("m-2") == archived(2, CAROL, CAROL)


def content_of(path: Path) -> bytes:
    """Return all that stands in the files of a database."""
    return b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))


async def test_processes_that_write_the_same_at_once_write_it_once(archive: MessageArchive) -> None:
    messages = [archived(position) for position in range(1, 30)]
    await asyncio.gather(*(archive.put(messages) for _ in range(4)))
    assert await archive.search(MessageFilter()) == messages


async def test_messages_are_listed_by_conversation_address_and_time_a_page_at_a_time(archive: MessageArchive) -> None:
    await archive.put([archived(1), archived(2, CAROL, ALICE), archived(3), archived(4, BOB, CAROL)])

    async def found(after: int = 0, limit: int = 100, **wanted: object) -> list[int]:
        page = await archive.search(MessageFilter(**wanted), after=after, limit=limit)  # type: ignore[arg-type]
        return [message.position for message in page]

    assert await found(address=ALICE) == [1, 2, 3]
    assert await found(address=ALICE, limit=2) == [1, 2]
    assert await found(address=ALICE, after=2, limit=2) == [3]
    assert await found(conversation=f"{ALICE} {BOB}") == [1, 3]
    assert await found(since=START + 2, before=START + 4) == [2, 3]


async def test_messages_go_when_their_time_has_come(archive: MessageArchive) -> None:
    await archive.put([archived(1), archived(2)])
    assert await archive.purge(START + 101) == 1
    assert await archive.purge(START + 101) == 0
    assert await archive.search(MessageFilter()) == [archived(2)]


async def test_bodies_of_one_user_go_and_everything_else_stays(archive: MessageArchive) -> None:
    await archive.put([archived(1), archived(2, CAROL, BOB), archived(3, CAROL, ALICE)])
    assert await archive.forget_bodies(ALICE) == 2
    assert await archive.forget_bodies(ALICE) == 0
    found = await archive.search(MessageFilter())
    assert found == [
        replace(archived(1), body=None),
        archived(2, CAROL, BOB),
        replace(archived(3, CAROL, ALICE), body=None),
    ]


async def test_ledger_forgets_bodies_and_blobs_of_what_has_its_outcome(database: Database) -> None:
    clock = ManualClock()
    blobs = BlobStore(database, clock=clock)
    writer = await blobs.create()
    await writer.append(b"x" * 70_000)
    blob = await writer.commit(expires=START + 1_000)
    async with Ledger(database, clock=clock) as ledger:
        await ledger.accept_one(
            new_message("over", headers=(("Subject", "secret"), ("cpim", "Subject: secret"), ("To", "b")))
        )
        await ledger.accept_one(new_message("large", body=None, blob=blob.id, sender=f"{ALICE};transport=tls"))
        await ledger.accept_one(new_message("waits"))
        await ledger.accept_one(new_message("other", sender=CAROL))
        for message_id in ("over", "large", "other"):
            await ledger.apply_one(Change(id=message_id, version=1, state=State.DELIVERED))
        assert await ledger.forget_bodies(lambda uri: uri.partition(";")[0] == ALICE, blobs.delete) == (2, 1)
        assert await ledger.forget_bodies(lambda uri: uri.partition(";")[0] == ALICE, blobs.delete) == (0, 1)
        rows = await ledger.find_many(["over", "large", "waits", "other"])
    assert {name: (row.body, row.blob) for name, row in rows.items()} == {
        "over": (None, None),
        "large": (None, None),
        "waits": (b"hello", None),
        "other": (b"hello", None),
    }
    assert (rows["over"].headers, rows["over"].state, rows["over"].sender) == ((("To", "b"),), State.DELIVERED, ALICE)
    async with database.transaction() as connection:
        assert (await connection.exec_driver_sql("SELECT count(*) FROM wigwag_blob")).scalar_one() == 0


async def test_what_is_open_or_has_ended_lately_is_listed_in_order(database: Database) -> None:
    clock = ManualClock()
    async with Ledger(database, clock=clock) as ledger:
        for name in ("old", "late", "open"):
            await ledger.accept_one(new_message(name))
        await ledger.accept_one(new_message("another", direction="inbound"))
        await ledger.apply_one(Change(id="old", version=1, state=State.DELIVERED))
        clock.now += 100
        await ledger.apply_one(Change(id="late", version=1, state=State.FAILED))

        async def found(since: float, **wanted: object) -> list[str]:
            filters = MessageFilter(**wanted)  # type: ignore[arg-type]
            rows = await ledger.recent("gateway", "outbound", filters, settled_since=since)
            return [row.id for row in rows]

        assert await found(START + 50) == ["late", "open"]
        assert await found(0.0) == ["old", "late", "open"]
        assert await found(0.0, address=CAROL) == []
        assert await found(0.0, address=ALICE, before=START + 1) == ["old", "late", "open"]
