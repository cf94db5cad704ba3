"""What the message ledger has to do on every database."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from tests.support.ledger import LIFETIME, START, ManualClock, new_message
from wigwag.database import Database
from wigwag.database.ledger import (
    Backlog,
    Change,
    Claim,
    Edit,
    Ledger,
    Outcome,
    Postpone,
    Refusal,
    Release,
    State,
    Verdict,
)
from wigwag.errors import ConflictError, DatabaseError

BOB = "sip:bob@example.com"


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with Database(url) as opened:
        yield opened


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def ledger(database: Database, clock: ManualClock) -> AsyncIterator[Ledger]:
    async with Ledger(database, clock=clock) as opened:
        yield opened


async def claimed(ledger: Ledger, message_id: str, token: int = 1, owner: str = "pod-1") -> Verdict:
    return await ledger.apply_one(Claim(id=message_id, owner=owner, token=token))


async def state_of(ledger: Ledger, message_id: str) -> State:
    row = await ledger.find(message_id)
    assert row is not None
    return row.state


# Accepting


async def test_accepted_message_is_found_as_it_came(ledger: Ledger) -> None:
    message = new_message(body=bytes(range(256)) * 256, headers=(("Subject", "grüße \U0001f44b"), ("X", "")))
    assert await ledger.accept_one(message) == Verdict(message.id, None, State.ACCEPTED, 1)
    row = await ledger.find(message.id)
    assert row is not None
    assert {name: getattr(row, name) for name in ("body", "headers", "conversation", "recipient", "expires")} == {
        "body": message.body,
        "headers": message.headers,
        "conversation": message.conversation,
        "recipient": message.recipient,
        "expires": message.expires,
    }
    assert (row.state, row.version, row.attempt, row.owner, row.created) == (State.ACCEPTED, 1, 0, "", START)


async def test_message_that_comes_again_is_reported_with_its_present_state(ledger: Ledger) -> None:
    message = new_message()
    await ledger.accept_one(message)
    await ledger.apply_one(Change(id=message.id, version=1, state=State.DELIVERED, status=200))
    again = await ledger.accept_one(replace(message, body=b"other"))
    assert again == Verdict(message.id, Refusal.DUPLICATE, State.DELIVERED, 2)
    row = await ledger.find(message.id)
    assert row is not None
    assert row.body == b"hello"


async def test_one_of_two_equal_messages_in_a_batch_is_new(ledger: Ledger) -> None:
    message = new_message()
    verdicts = await asyncio.gather(*ledger.accept([message, message]))
    assert [verdict.refusal for verdict in verdicts] == [None, Refusal.DUPLICATE]


async def test_one_of_two_pods_accepts_a_message(database: Database, clock: ManualClock) -> None:
    async with Ledger(database, clock=clock) as first, Ledger(database, clock=clock) as second:
        messages = [new_message() for _ in range(60)]
        ours, theirs = await asyncio.gather(
            asyncio.gather(*first.accept(messages)), asyncio.gather(*second.accept(reversed(messages)))
        )
    for mine, other in zip(ours, reversed(theirs), strict=True):
        assert {mine.refusal, other.refusal} == {None, Refusal.DUPLICATE}


async def test_message_that_can_not_be_stored_fails_alone(ledger: Ledger) -> None:
    good, bad = new_message(), new_message(recipient="sip:bob\x00@example.com")
    results = await asyncio.gather(*ledger.accept([good, bad]), return_exceptions=True)
    assert isinstance(results[0], Verdict)
    assert results[0].done
    assert isinstance(results[1], ConflictError)
    assert "recipient" in str(results[1])
    assert await ledger.find(bad.id) is None


async def test_message_that_only_the_database_refuses_fails_alone(ledger: Ledger) -> None:
    messages = [new_message() for _ in range(9)]
    # Beyond what the checks look at, and what the types allow.
    messages[4] = new_message(sender=None)
    results = await asyncio.gather(*ledger.accept(messages), return_exceptions=True)
    assert [isinstance(result, Verdict) and result.done for result in results] == [number != 4 for number in range(9)]
    assert isinstance(results[4], ConflictError | DatabaseError)


async def test_ids_that_differ_in_case_are_different(ledger: Ledger) -> None:
    verdicts = await asyncio.gather(*ledger.accept([new_message("Case-1"), new_message("case-1")]))
    assert all(verdict.done for verdict in verdicts)


async def test_batches_form_while_the_previous_one_is_written(ledger: Ledger) -> None:
    await asyncio.gather(*(ledger.accept_one(new_message()) for _ in range(300)))
    counters = ledger.counters()
    assert counters["accepted_written"] == 300
    assert counters["accepted_batches"] < 30


async def test_what_waits_is_written_when_the_ledger_is_closed(database: Database, clock: ManualClock) -> None:
    async with Ledger(database, clock=clock) as ledger:
        futures = ledger.accept([new_message() for _ in range(1_200)])
    assert all(future.result().done for future in futures)


# States


async def test_change_raises_the_version_and_is_pending(ledger: Ledger, clock: ManualClock) -> None:
    message = new_message(publish=False)
    await ledger.accept_one(message)
    clock.now += 5
    verdict = await ledger.apply_one(
        Change(id=message.id, version=1, state=State.FAILED, status=486, reason="Busy\r\nHere")
    )
    assert verdict == Verdict(message.id, None, State.FAILED, 2)
    row = await ledger.find(message.id)
    assert row is not None
    assert (row.settled, row.status, row.reason, row.event_pending) == (START + 5, 486, "Busy??Here", True)


async def test_one_of_many_changes_of_the_same_version_wins(database: Database, clock: ManualClock) -> None:
    wanted = [State.DELIVERED, State.FAILED, State.DISPLAYED, State.UNCONFIRMED]
    async with Ledger(database, clock=clock) as first, Ledger(database, clock=clock) as second:
        messages = [new_message() for _ in range(20)]
        await asyncio.gather(*first.accept(messages))
        for message in messages:
            edits = [Change(id=message.id, version=1, state=state) for state in wanted]
            verdicts = await asyncio.gather(*first.apply(edits[:2]), *second.apply(edits[2:]))
            winners = [state for state, verdict in zip(wanted, verdicts, strict=True) if verdict.done]
            assert len(winners) == 1
            assert await state_of(first, message.id) is winners[0]


async def test_final_state_stays(ledger: Ledger) -> None:
    message = new_message()
    await ledger.accept_one(message)
    await ledger.apply_one(Change(id=message.id, version=1, state=State.UNCONFIRMED))
    late = await ledger.apply_one(Change(id=message.id, version=2, state=State.DELIVERED))
    assert late == Verdict(message.id, Refusal.TRANSITION, State.UNCONFIRMED, 2)


async def test_edit_of_a_message_that_can_not_exist_does_not_hurt_its_neighbours(ledger: Ledger) -> None:
    message = new_message()
    await ledger.accept_one(message)
    ids = ["nobody", "\x00", "\ud800", "x" * 1_000, message.id]
    verdicts = await asyncio.gather(*ledger.apply(Change(id=id_, version=1, state=State.FAILED) for id_ in ids))
    assert [verdict.refusal for verdict in verdicts] == [Refusal.UNKNOWN] * 4 + [None]


# Claims


async def test_claim_with_a_lower_token_is_refused(ledger: Ledger) -> None:
    message = new_message()
    await ledger.accept_one(message)
    assert (await claimed(ledger, message.id, token=7)).attempt == 1
    assert (await claimed(ledger, message.id, token=6, owner="pod-2")).refusal is Refusal.FENCED
    assert (await claimed(ledger, message.id, token=7, owner="pod-2")).refusal is Refusal.FENCED
    assert (await claimed(ledger, message.id, token=8, owner="pod-2")).attempt == 2


async def test_outdated_owner_has_no_say(ledger: Ledger) -> None:
    message = new_message()
    await ledger.accept_one(message)
    await claimed(ledger, message.id, token=1)
    await claimed(ledger, message.id, token=2, owner="pod-2")
    outdated: list[Edit] = [
        Change(id=message.id, version=1, state=State.FAILED, token=1),
        Release(id=message.id, token=1, attempt=1),
        Postpone(id=message.id, token=1, attempt=1, until=START + LIFETIME),
    ]
    verdicts = await asyncio.gather(*ledger.apply(outdated))
    assert [verdict.refusal for verdict in verdicts] == [Refusal.FENCED] * 3
    news = await ledger.apply_one(Change(id=message.id, version=1, state=State.DELIVERED))
    assert news.done


async def test_one_of_two_pods_claims_with_a_token(database: Database, clock: ManualClock) -> None:
    async with Ledger(database, clock=clock) as first, Ledger(database, clock=clock) as second:
        messages = [new_message() for _ in range(60)]
        await asyncio.gather(*first.accept(messages))
        ours = first.apply(Claim(id=message.id, owner="pod-1", token=5) for message in messages)
        theirs = second.apply(Claim(id=message.id, owner="pod-2", token=5) for message in reversed(messages))
        verdicts = await asyncio.gather(*ours, *theirs)
    assert sum(verdict.done for verdict in verdicts) == 60


# Time


async def test_message_without_an_attempt_expires(ledger: Ledger, clock: ManualClock) -> None:
    message = new_message()
    await ledger.accept_one(message)
    clock.now += LIFETIME - 1
    assert await ledger.end_overdue() == 0
    clock.now += 1
    assert (await claimed(ledger, message.id)).refusal is Refusal.LATE
    assert await ledger.end_overdue() == 1
    assert await state_of(ledger, message.id) is State.EXPIRED


async def test_attempt_without_an_outcome_is_unconfirmed_after_a_minute(ledger: Ledger, clock: ManualClock) -> None:
    message = new_message()
    await ledger.accept_one(message)
    clock.now += LIFETIME - 1
    await claimed(ledger, message.id)
    clock.now += 59
    assert await ledger.end_overdue() == 0
    clock.now += 1
    assert await ledger.end_overdue() == 1
    assert await state_of(ledger, message.id) is State.UNCONFIRMED


async def test_attempt_that_had_no_effect_leaves_no_doubt(ledger: Ledger, clock: ManualClock) -> None:
    message = new_message()
    await ledger.accept_one(message)
    await claimed(ledger, message.id)
    assert (await ledger.apply_one(Release(id=message.id, token=1, attempt=1))).done
    clock.now += LIFETIME
    await ledger.end_overdue()
    assert await state_of(ledger, message.id) is State.EXPIRED


async def test_doubt_of_an_earlier_attempt_stays(ledger: Ledger, clock: ManualClock) -> None:
    message = new_message()
    await ledger.accept_one(message)
    await claimed(ledger, message.id, token=1)
    await claimed(ledger, message.id, token=2)
    release = Release(id=message.id, token=2, attempt=2)
    assert (await ledger.apply_one(release)).done
    assert not (await ledger.apply_one(release)).done
    clock.now += 60
    await ledger.end_overdue()
    assert await state_of(ledger, message.id) is State.UNCONFIRMED


async def test_outcome_may_be_waited_for_until_the_message_expires(ledger: Ledger, clock: ManualClock) -> None:
    message = new_message()
    await ledger.accept_one(message)
    await claimed(ledger, message.id)
    assert (await ledger.apply_one(Postpone(id=message.id, token=1, attempt=1, until=message.expires))).done
    clock.now += LIFETIME - 1
    assert await ledger.end_overdue() == 0
    clock.now += 1
    await ledger.end_overdue()
    assert await state_of(ledger, message.id) is State.UNCONFIRMED


async def test_message_that_is_claimed_as_it_is_accepted_is_as_if_claimed_afterwards(ledger: Ledger) -> None:
    at_once, later = new_message(claim=("pod-1", 7)), new_message()
    assert await ledger.accept_one(at_once) == Verdict(at_once.id, None, State.ACCEPTED, 1, attempt=1)
    await ledger.accept_one(later)
    assert await claimed(ledger, later.id, token=7) == Verdict(later.id, None, State.ACCEPTED, 1, attempt=1)
    found = await ledger.find_many([at_once.id, later.id])
    row = found[at_once.id]
    assert (row.owner, row.token, row.attempt, row.doubts) == ("pod-1", 7, 1, 1)
    assert row == replace(found[later.id], id=row.id, position=row.position)
    assert (await claimed(ledger, at_once.id, token=6)).refusal is Refusal.FENCED
    assert (await ledger.apply_one(Release(id=at_once.id, token=7, attempt=1))).done
    assert (await claimed(ledger, at_once.id, token=8, owner="pod-2")).attempt == 2


async def test_message_that_was_claimed_as_it_was_accepted_is_unconfirmed_after_a_minute(
    ledger: Ledger, clock: ManualClock
) -> None:
    message = new_message(claim=("pod-1", 7))
    await ledger.accept_one(message)
    clock.now += 60
    assert await ledger.end_overdue() == 1
    assert await state_of(ledger, message.id) is State.UNCONFIRMED


@pytest.mark.parametrize("claim", [("", 1), ("pod\n", 1), ("p" * 129, 1), ("pod", -1), ("pod", 2**63)])
async def test_claim_that_can_not_be_stored_is_refused(ledger: Ledger, claim: tuple[str, int]) -> None:
    with pytest.raises(ConflictError):
        await ledger.accept_one(new_message(claim=claim))


# Reading


async def test_many_are_found_by_their_ids(ledger: Ledger) -> None:
    messages = [new_message() for _ in range(1_100)]
    await asyncio.gather(*ledger.accept(messages))
    ids = [message.id for message in messages]
    found = await ledger.find_many([*reversed(ids), "unknown", "no such id", ids[0]])
    assert {name: row.id for name, row in found.items()} == {name: name for name in ids}
    assert await ledger.find_many([]) == {}


async def test_who_takes_a_conversation_over_finds_what_was_claimed_too_in_order(ledger: Ledger) -> None:
    first, second, third = (new_message(conversation="session:s1") for _ in range(3))
    first = replace(first, claim=("pod-1", 7))
    await asyncio.gather(*ledger.accept([first, second, third]))
    await claimed(ledger, third.id, token=7)
    found = await ledger.undelivered(conversation="session:s1")
    assert [(row.id, row.owner) for row in found] == [(first.id, "pod-1"), (second.id, ""), (third.id, "pod-1")]
    unclaimed = await ledger.undelivered(conversation="session:s1", unclaimed=True)
    assert [row.id for row in unclaimed] == [second.id]


async def test_conversation_is_read_in_order_page_by_page(ledger: Ledger) -> None:
    messages = [new_message(conversation="a b 1") for _ in range(25)]
    await asyncio.gather(*ledger.accept([new_message(conversation="A b 1"), *messages]))
    found: list[str] = []
    after = 0
    while page := await ledger.conversation("a b 1", after=after, limit=10):
        found += [row.id for row in page]
        after = page[-1].position
    assert found == [message.id for message in messages]


async def test_undelivered_messages_are_those_without_an_outcome(ledger: Ledger, clock: ManualClock) -> None:
    waiting, other, done, old = [
        new_message(),
        new_message(recipient="sip:carol@example.com", conversation="c"),
        new_message(),
        new_message(expires=START + 1),
    ]
    await asyncio.gather(*ledger.accept([waiting, other, done, old]))
    await ledger.apply_one(Change(id=done.id, version=1, state=State.DELIVERED))
    clock.now += 1
    assert [row.id for row in await ledger.undelivered(recipient=BOB)] == [waiting.id]
    assert [row.id for row in await ledger.undelivered(conversation="c")] == [other.id]
    assert [row.id for row in await ledger.undelivered()] == [waiting.id, other.id]
    assert [row.id for row in await ledger.undelivered(recipient=BOB, sender=waiting.sender)] == [waiting.id]
    assert await ledger.undelivered(recipient=BOB, sender=f"{waiting.sender}.invalid") == []


async def test_what_somebody_got_is_read_from_the_last_on_page_by_page(ledger: Ledger) -> None:
    messages = [new_message() for _ in range(25)]
    waiting, other = new_message(), new_message(recipient="sip:carol@example.com")
    await asyncio.gather(*ledger.accept([*messages, waiting, other]))
    for message in (*messages, other):
        await ledger.apply_one(Change(id=message.id, version=1, state=State.DELIVERED))
    await ledger.apply_one(Change(id=messages[-1].id, version=2, state=State.DISPLAYED))
    found: list[str] = []
    before: int | None = None
    while page := await ledger.delivered(BOB, before=before, limit=10):
        found += [row.id for row in page]
        before = page[-1].position
    assert found == [message.id for message in messages[-2::-1]]
    assert await ledger.delivered("sip:\0@example.com") == []


# Events


async def test_each_state_is_pending_until_its_version_is_published(ledger: Ledger, clock: ManualClock) -> None:
    message = new_message()
    await ledger.accept_one(message)
    accepted = await ledger.pending_events()
    clock.now += 1
    await ledger.apply_one(Change(id=message.id, version=1, state=State.DELIVERED, status=200))
    await ledger.mark_published(accepted)
    clock.now += 1
    await ledger.apply_one(Change(id=message.id, version=2, state=State.DISPLAYED))
    events = await ledger.pending_events()
    assert [(event.version, event.state, event.at) for event in events] == [
        (2, State.DELIVERED, START + 1),
        (3, State.DISPLAYED, START + 2),
    ]
    assert events[1].row.status == 200
    await ledger.mark_published(events)
    await ledger.mark_published(accepted)
    assert await ledger.pending_events() == []


async def test_events_come_in_the_order_of_acceptance(ledger: Ledger) -> None:
    messages = [new_message() for _ in range(30)]
    await asyncio.gather(*ledger.accept(messages))
    assert [event.id for event in await ledger.pending_events(limit=20)] == [message.id for message in messages[:20]]


async def test_lease_is_held_by_one_until_it_runs_out(ledger: Ledger, clock: ManualClock) -> None:
    assert await ledger.hold_lease("sweep", "a", seconds=10)
    assert not await ledger.hold_lease("sweep", "b", seconds=10)
    clock.now += 6
    assert await ledger.hold_lease("sweep", "a", seconds=10)
    clock.now += 9
    assert not await ledger.hold_lease("sweep", "b", seconds=10)
    clock.now += 1
    assert await ledger.hold_lease("sweep", "b", seconds=10)
    assert not await ledger.hold_lease("sweep", "a", seconds=10)


async def test_lease_of_a_clock_that_was_wrong_is_free(ledger: Ledger, clock: ManualClock) -> None:
    clock.now += 3_600
    assert await ledger.hold_lease("sweep", "a", seconds=10)
    clock.now -= 3_600
    assert await ledger.hold_lease("sweep", "b", seconds=10)


async def test_two_who_want_a_lease_at_once_do_not_both_get_it(database: Database, clock: ManualClock) -> None:
    async with Ledger(database, clock=clock) as first, Ledger(database, clock=clock) as second:
        got = await asyncio.gather(first.hold_lease("x", "a", seconds=10), second.hold_lease("x", "b", seconds=10))
    assert sorted(got) == [False, True]


# Purging


async def test_old_final_messages_go_with_their_blobs(ledger: Ledger, clock: ManualClock) -> None:
    old, unpublished, waiting = new_message(body=None, blob="blob-1"), new_message(), new_message(expires=START + 1e6)
    await asyncio.gather(*ledger.accept([old, unpublished, waiting]))
    await asyncio.gather(*ledger.apply(Change(id=m.id, version=1, state=State.DELIVERED) for m in (old, unpublished)))
    events = [event for event in await ledger.pending_events() if event.id != unpublished.id]
    await ledger.mark_published(events)
    blobs: list[str] = []

    async def delete_blobs(references: object) -> None:
        assert await ledger.find(old.id) is not None
        assert isinstance(references, list)
        blobs.extend(references)

    clock.now += 99
    assert await ledger.purge(keep=100, delete_blobs=delete_blobs) == 0
    clock.now += 1
    assert await ledger.purge(keep=100, delete_blobs=delete_blobs) == 1
    assert await ledger.purge(keep=100, delete_blobs=delete_blobs) == 0
    assert blobs == ["blob-1"]
    assert await ledger.find(old.id) is None
    assert await ledger.find(unpublished.id) is not None
    assert await ledger.find(waiting.id) is not None


# Counting


async def test_messages_that_wait_are_counted_by_recipient_and_conversation_up_to_a_bound(ledger: Ledger) -> None:
    for number in range(4):
        await ledger.accept_one(new_message(f"bob-{number}", body=b"\x00hi"))
    await ledger.accept_one(
        new_message("carol", recipient="sip:carol@example.com", conversation="with carol", body=b"hello")
    )
    await ledger.apply_one(Change(id="bob-0", version=1, state=State.DELIVERED))
    for most, whose, expected in (
        (10, {}, Backlog(4, 14)),
        (10, {"recipient": BOB}, Backlog(3, 9)),
        (2, {"recipient": BOB}, Backlog(2, 6)),
        (10, {"conversation": "with carol"}, Backlog(1, 5)),
        (10, {"recipient": "nobody\0"}, Backlog(0, 0)),
    ):
        assert await ledger.backlog(**whose, most=most) == expected


async def test_outcome_is_told_of_messages_that_have_one(ledger: Ledger) -> None:
    for number in range(3):
        await ledger.accept_one(new_message(f"m-{number}"))
    await ledger.apply_one(Change(id="m-0", version=1, state=State.FAILED, status=486, reason="Busy Here"))
    await ledger.apply_one(Change(id="m-1", version=1, state=State.DELIVERED))
    found = await ledger.outcomes(["m-0", "m-1", "m-2", "unknown", "not an id"])
    assert found == {"m-0": Outcome(State.FAILED, 486, "Busy Here"), "m-1": Outcome(State.DELIVERED, None, "")}
