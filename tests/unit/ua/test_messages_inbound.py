"""Messages of SIP users: kept before they are answered, told once, notified as their senders ask."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from tests.support.ledger import eventually
from tests.support.ua_messages import LOCAL, REMOTE, FakeOwned, MessageWorld, message_world
from tests.support.waiting import until
from wigwag.api.ua.v1 import message_pb2
from wigwag.database.ledger import State
from wigwag.errors import DatabaseError
from wigwag.protocols.cpim import CpimAddress, CpimMessage
from wigwag.protocols.imdn import Disposition, Imdn, NotificationType, Status, read_notification, with_request
from wigwag.protocols.iscomposing import IsComposing
from wigwag.protocols.iscomposing import State as Typing
from wigwag.runtime.ua_messages import fields_of, message_of
from wigwag.ua.messages import inbox
from wigwag.ua.sessions.ports import OwnedSession

NOW = datetime(2026, 11, 26, tzinfo=UTC)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[MessageWorld]:
    async with message_world(tmp_path) as made:
        yield made


def wrapped(*asks: Disposition, body: bytes = b"hello", content_type: str = "text/plain") -> bytes:
    message = CpimMessage.of(CpimAddress(REMOTE), [CpimAddress(LOCAL)], content_type, body, date_time=NOW)
    return bytes(with_request(message, "imdn-1", asks) if asks else message)


def notifications(own: FakeOwned) -> list[Imdn]:
    """Return the notifications that were sent."""
    found = [CpimMessage.parse(sent.body) for sent in own.wire.sent if isinstance(sent.body, bytes)]
    return [imdn for message in found if (imdn := read_notification(message)) is not None]


def imdn(message_id: str, kind: NotificationType, status: Status) -> bytes:
    body = bytes(Imdn(message_id=message_id, kind=kind, status=status, date_time="2026-11-26T00:00:00Z"))
    return wrapped(body=body, content_type="message/imdn+xml")


async def delivered(world: MessageWorld) -> None:
    async def condition() -> bool:
        return State.DELIVERED in await world.states()

    await eventually(condition)


async def test_a_message_is_in_the_ledger_before_the_peer_is_answered(world: MessageWorld) -> None:
    own = await world.open()
    answer = world.arrive(own, b"hello")
    assert answer.given == []
    await until(lambda: answer.given)
    assert answer.given == [200]
    (row,) = await world.rows()
    assert (row.direction, row.body, row.sender) == ("inbound", b"hello", REMOTE)
    await delivered(world)


async def test_a_message_that_comes_again_is_answered_and_is_the_same(world: MessageWorld) -> None:
    own = await world.open()
    first = world.arrive(own, b"hello")
    await until(lambda: first.given)
    again = world.arrive(own, b"hello")
    await until(lambda: again.given)
    assert again.given == [200]
    assert len(await world.rows()) == 1


async def test_another_message_under_the_same_message_id_is_not_lost(world: MessageWorld) -> None:
    own = await world.open()
    answers = [world.arrive(own, body) for body in (b"one", b"two", b"one", b"two")]
    await until(lambda: all(answer.given == [200] for answer in answers))
    assert sorted(row.body or b"" for row in await world.rows()) == [b"one", b"two"]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"x", "image/png", 415),
        (b"x", "no type", 415),
        (b"no cpim at all", "message/cpim", 400),
        (wrapped(content_type="image/png", body=b"x"), "message/cpim", 415),
        (b"<no", "message/imdn+xml", 400),
        (b"<no", "application/im-iscomposing+xml", 400),
    ],
)
async def test_what_is_not_taken_is_refused_and_not_kept(
    world: MessageWorld, body: bytes, content_type: str, status: int
) -> None:
    own = await world.open(policy={"accept_wrapped_types": ("text/plain",)})
    answer = world.arrive(own, body, content_type)
    await until(lambda: answer.given)
    assert answer.given == [status]
    assert await world.rows() == []


async def test_a_wrapped_message_is_kept_as_what_is_inside_with_the_wrappings_headers(world: MessageWorld) -> None:
    own = await world.open()
    answer = world.arrive(own, wrapped(Disposition.DISPLAY), "message/cpim")
    await until(lambda: answer.given)
    (row,) = await world.rows()
    told = message_of(row)
    assert (told.body, told.content_type, told.imdn_message_id) == (b"hello", "text/plain", "imdn-1")
    assert told.requested == message_pb2.Notifications(display=True)
    assert [(header.name, header.value) for header in told.cpim_headers][:2] == [
        ("From", f"<{REMOTE}>"),
        ("To", f"<{LOCAL}>"),
    ]


async def test_a_large_message_is_a_blob(world: MessageWorld) -> None:
    own = await world.open()
    answer = world.arrive(own, b"x" * 100_000)
    await until(lambda: answer.given)
    (row,) = await world.rows()
    assert row.body is None
    assert fields_of(row.headers).size == 100_000
    assert row.blob is not None
    assert await world.blobs.size(row.blob) == 100_000


async def test_the_peer_waits_while_the_database_is_away_and_is_answered_when_it_is_back(world: MessageWorld) -> None:
    own = await world.open()
    world.ledger.is_away = True
    answer = world.arrive(own, b"hello")
    await until(lambda: world.pipeline.inbox.counters["failures"])
    world.clock.now += 5
    assert answer.given == []
    world.ledger.is_away = False
    await until(lambda: answer.given)
    assert answer.given == [200]


async def test_the_peer_is_asked_to_try_later_when_the_database_stays_away(world: MessageWorld) -> None:
    own = await world.open()
    world.ledger.is_away = True
    answer = world.arrive(own, b"hello")
    world.clock.now += 11
    await until(lambda: answer.given)
    assert answer.given == [413]


async def test_who_asked_for_it_is_told_of_the_delivery_once_it_is_durable_and_of_the_display_once(
    world: MessageWorld,
) -> None:
    own = await world.open()
    world.arrive(own, wrapped(Disposition.POSITIVE_DELIVERY, Disposition.DISPLAY), "message/cpim")
    await until(lambda: notifications(own))
    await delivered(world)
    (row,) = await world.rows()
    await world.pipeline.mark_displayed(row)
    await world.pipeline.mark_displayed(row)
    told = [(each.message_id, each.kind, each.status) for each in notifications(own)]
    assert told == [
        ("imdn-1", NotificationType.DELIVERY, Status.DELIVERED),
        ("imdn-1", NotificationType.DISPLAY, Status.DISPLAYED),
    ]
    assert await world.states() == [State.DISPLAYED]


async def test_who_asked_for_it_is_told_of_a_refusal(world: MessageWorld) -> None:
    own = await world.open(policy={"accept_wrapped_types": ("text/plain",)})
    asks = wrapped(Disposition.NEGATIVE_DELIVERY, content_type="image/png")
    world.arrive(own, asks, "message/cpim")
    await until(lambda: notifications(own))
    assert notifications(own)[0].status is Status.FAILED


async def test_nobody_is_told_of_what_he_did_not_ask(world: MessageWorld) -> None:
    own = await world.open()
    answer = world.arrive(own, wrapped(), "message/cpim")
    await until(lambda: answer.given)
    await delivered(world)
    (row,) = await world.rows()
    await world.pipeline.mark_displayed(row)
    assert own.wire.sent == []
    assert await world.states() == [State.DISPLAYED]


async def test_a_pod_that_takes_over_does_what_was_left_to_do_for_what_came(tmp_path: Path) -> None:
    async with message_world(tmp_path, pod="pod-1") as first:
        own = await first.open()
        first.pipeline.edits.put = lambda edit, done=None: None  # type: ignore[method-assign] # it is killed
        own.wire.line_is_up = False
        answer = first.arrive(own, wrapped(Disposition.POSITIVE_DELIVERY), "message/cpim")
        await until(lambda: answer.given)
    async with message_world(tmp_path, pod="pod-2") as second:
        taken = await second.open(token=2)
        await until(lambda: notifications(taken))
        await delivered(second)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"hello", "text/plain"), (wrapped(), "message/cpim"), (b"x" * 100_000, "text/plain")],
    ids=["plain", "wrapped", "large"],
)
async def test_what_the_lost_owner_had_kept_and_not_answered_is_answered_by_the_next_and_told_once(
    tmp_path: Path, body: bytes, content_type: str
) -> None:
    """The relay sends it again, since it has seen no answer."""
    async with message_world(tmp_path, pod="pod-1") as first:
        own = await first.open()
        first.pipeline.edits.put = lambda edit, done=None: None  # type: ignore[method-assign] # it is killed
        unseen = first.arrive(own, body, content_type)
        await until(lambda: unseen.given)
    async with message_world(tmp_path, pod="pod-2") as second:
        taken = await second.open(token=2)
        again = second.arrive(taken, body, content_type)
        await until(lambda: again.given)
        await delivered(second)
        assert again.given == [200]
        assert len(await second.rows()) == 1
        assert second.pipeline.inbox.counters == {"received": 0, "repeated": 1, "refused": 0, "failures": 0}


async def test_notifications_change_the_state_of_the_message_that_they_are_about(world: MessageWorld) -> None:
    own = await world.open()
    asks = message_pb2.Notifications(positive_delivery=True, display=True)
    (outcome,) = await world.send(own, "hello", notifications=asks)
    await until(lambda: own.wire.sent)
    report = imdn(outcome.message_id, NotificationType.DELIVERY, Status.DELIVERED)
    answer = world.arrive(own, report, "message/cpim", "n1")
    await until(lambda: answer.given)
    assert (await world.rows())[0].state is State.DELIVERED
    shown = imdn(outcome.message_id, NotificationType.DISPLAY, Status.DISPLAYED)
    answer = world.arrive(own, shown, "message/cpim", "n2")
    await until(lambda: answer.given)
    assert await world.states() == [State.DISPLAYED]
    assert world.events.of("notification") == []


async def test_what_a_notification_says_has_failed_does_not_look_as_if_it_was_never_sent(world: MessageWorld) -> None:
    own = await world.open()
    (outcome,) = await world.send(own, "hello", notifications=message_pb2.Notifications(negative_delivery=True))
    await until(lambda: own.wire.sent)
    answer = world.arrive(own, imdn(outcome.message_id, NotificationType.DELIVERY, Status.FAILED), "message/cpim")
    await until(lambda: answer.given)
    (row,) = await world.rows()
    assert (row.state, row.status) == (State.FAILED, 403)


async def test_a_notification_that_comes_too_late_is_an_event_and_changes_nothing(world: MessageWorld) -> None:
    own = await world.open(policy={"outcome_timeout": 5.0})
    (outcome,) = await world.send(own, "hello")
    await until(lambda: own.wire.sent)
    world.clock.now += 6

    async def unconfirmed() -> bool:
        return await world.states() == [State.UNCONFIRMED]

    await eventually(unconfirmed)
    shown = imdn(outcome.message_id, NotificationType.DISPLAY, Status.DISPLAYED)
    answer = world.arrive(own, shown, "message/cpim")
    await until(lambda: answer.given)
    (told,) = world.events.of("notification")
    assert (told.message_id, told.kind, told.status) == (outcome.message_id, "display", "displayed")
    assert await world.states() == [State.UNCONFIRMED]


async def test_a_notification_about_another_sessions_message_changes_nothing(world: MessageWorld) -> None:
    own, other = await world.open("s1"), await world.open("s2")
    (outcome,) = await world.send(own, "hello")
    forged = imdn(outcome.message_id, NotificationType.DELIVERY, Status.FAILED)
    answer = world.arrive(other, forged, "message/cpim")
    await until(lambda: answer.given)
    assert await world.states("s1") == [State.ACCEPTED]


async def test_the_peers_typing_is_told_when_it_changes_and_ends_with_a_message_or_in_time(world: MessageWorld) -> None:
    own = await world.open()
    active = bytes(IsComposing(Typing.ACTIVE, "text/plain", 60))
    for number in range(2):
        world.arrive(own, active, "application/im-iscomposing+xml", f"c{number}")
    assert [told.active for told in world.events.of("composing")] == [True]
    answer = world.arrive(own, b"hello")
    await until(lambda: answer.given)
    assert [told.active for told in world.events.of("composing")] == [True, False]
    world.arrive(own, active, "application/im-iscomposing+xml", "c3")
    world.clock.now += 61
    await until(lambda: len(world.events.of("composing")) == 4)
    assert len(await world.rows()) == 1


async def test_our_typing_is_told_once_and_again_when_it_lasts_and_ends(world: MessageWorld) -> None:
    own = await world.open()
    session = cast(OwnedSession, own)

    def states() -> list[Typing]:
        return [IsComposing.parse(sent.body).state for sent in own.wire.sent if isinstance(sent.body, bytes)]

    for _ in range(3):
        world.pipeline.set_composing(session, active=True, content_type="text/plain")
    assert states() == [Typing.ACTIVE]
    world.pipeline.set_composing(session, active=False, content_type="")
    assert states() == [Typing.ACTIVE, Typing.IDLE]
    world.pipeline.set_composing(session, active=True, content_type="")
    world.clock.now += 16
    await until(lambda: states() == [Typing.ACTIVE, Typing.IDLE, Typing.ACTIVE, Typing.IDLE])


async def test_a_peer_that_takes_no_status_messages_gets_none(world: MessageWorld) -> None:
    own = await world.open(accept_types=("text/plain",))
    world.pipeline.set_composing(cast(OwnedSession, own), active=True, content_type="")
    assert own.wire.sent == []


# The database is away for a moment


def fails_once(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> None:
    """Let a call fail once."""
    call, failures = getattr(owner, name), [DatabaseError("away")]

    async def made(*args: Any) -> Any:
        if failures:
            raise failures.pop()
        return await call(*args)

    monkeypatch.setattr(owner, name, made)


async def test_a_notification_that_came_with_a_message_while_the_database_was_away_is_taken(
    world: MessageWorld,
) -> None:
    own = await world.open()
    (sent,) = await world.send(own, "hello")
    world.ledger.is_away = True
    message = world.arrive(own, b"hi")
    body = imdn(sent.message_id, NotificationType.DELIVERY, Status.DELIVERED)
    notice = world.arrive(own, body, "message/cpim", "msrp2")
    await until(lambda: world.pipeline.inbox.counters["failures"])
    world.ledger.is_away = False
    await until(lambda: message.given and notice.given)
    assert (message.given, notice.given) == ([200], [200])
    assert (await world.rows())[0].state is State.DELIVERED


@pytest.mark.parametrize("away", ["info", "find_many"])
async def test_messages_that_come_again_are_all_answered_though_they_could_not_be_compared_at_first(
    world: MessageWorld, monkeypatch: pytest.MonkeyPatch, away: str
) -> None:
    own = await world.open()
    bodies = {"m1": b"x" * 100_000, "m2": b"hello"}
    first = [world.arrive(own, body, message_id=message_id) for message_id, body in bodies.items()]
    await until(lambda: all(answer.given for answer in first))
    fails_once(monkeypatch, world.blobs if away == "info" else world.ledger, away)
    again = [world.arrive(own, body, message_id=message_id) for message_id, body in bodies.items()]
    await until(lambda: all(answer.given for answer in again))
    assert [answer.given for answer in again] == [[200], [200]]
    assert len(await world.rows()) == 2


async def test_what_could_not_be_kept_is_kept_when_it_came_with_one_that_could_not_be_compared(
    world: MessageWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await world.open(), await world.open("s2")
    before = world.arrive(first, b"hello")
    await until(lambda: before.given)
    fails_once(monkeypatch, world.blobs, "create")
    fails_once(monkeypatch, world.ledger, "find_many")
    answers = [world.arrive(first, b"hello"), world.arrive(second, b"x" * 100_000)]
    await until(lambda: all(answer.given for answer in answers))
    assert [answer.given for answer in answers] == [[200], [200]]


async def test_nothing_overtakes_a_large_message_that_could_not_be_kept_at_first(
    world: MessageWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = await world.open()
    fails_once(monkeypatch, world.blobs, "create")
    answers = [world.arrive(own, body, message_id=str(len(body))) for body in (b"x" * 100_000, b"hello")]
    await until(lambda: all(answer.given for answer in answers))
    assert [fields_of(row.headers).size for row in await world.rows()] == [100_000, None]


async def test_an_error_that_nobody_expects_leaves_later_messages_their_answers(
    world: MessageWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = await world.open()

    def broken(*args: object) -> None:
        raise ValueError("broken")

    with monkeypatch.context() as patched:
        patched.setattr(world.pipeline.inbox, "_kept", broken)
        world.arrive(own, b"one", message_id="m1")
        await until(lambda: world.pipeline.inbox.counters["failures"])
    answer = world.arrive(own, b"two", message_id="m2")
    await until(lambda: answer.given)
    assert answer.given == [200]


async def test_what_waits_for_the_database_has_bounds_and_the_rest_is_asked_for_later(
    world: MessageWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "MOST_OCTETS", 10_000)
    own = await world.open()
    world.ledger.is_away = True
    answers = [world.arrive(own, b"x" * 4_000, message_id=str(number)) for number in range(4)]
    assert [answer.given for answer in answers] == [[], [], [413], [413]]
    world.ledger.is_away = False
    await until(lambda: all(answer.given for answer in answers))
    again = world.arrive(own, b"x" * 4_000, message_id="2")
    await until(lambda: again.given)
    assert [answer.given for answer in (*answers[:2], again)] == [[200], [200], [200]]
