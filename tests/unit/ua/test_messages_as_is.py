"""Content as it is: what comes is told as it came, and what is sent goes as it is."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.ua_messages import FakeStream, MessageWorld, message_world
from tests.support.waiting import until
from tests.unit.ua.test_messages_inbound import imdn, wrapped
from wigwag.database.ledger import State
from wigwag.errors import InvalidRequestError
from wigwag.protocols.imdn import Disposition, NotificationType, Status
from wigwag.protocols.iscomposing import IsComposing
from wigwag.protocols.iscomposing import State as Typing
from wigwag.runtime.agents import GATEWAY
from wigwag.runtime.ua_messages import message_of

AS_IS = {"content": "as_is", "accept_types": ("*",)}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[MessageWorld]:
    async with message_world(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("message/cpim", wrapped(Disposition.POSITIVE_DELIVERY, Disposition.DISPLAY)),
        ("message/cpim", imdn("m1", NotificationType.DELIVERY, Status.DELIVERED)),
        ("message/cpim", b"no cpim at all"),
        ("message/imdn+xml", b"<imdn/>"),
        ("application/im-iscomposing+xml", bytes(IsComposing(Typing.ACTIVE, "text/plain", 60))),
        ("Text/Plain; charset=utf-8", b"hello"),
        ("image/png", b"\x89PNG"),
    ],
)
async def test_what_comes_is_a_message_of_the_same_type_and_octets_and_is_answered_by_nothing_else(
    world: MessageWorld, content_type: str, body: bytes
) -> None:
    own = await world.open(policy=AS_IS)
    answer = world.arrive(own, body, content_type)
    await until(lambda: answer.given)
    (row,) = await world.rows()
    told = message_of(row)
    assert (answer.given, told.content_type, told.body) == ([200], content_type, body)
    assert not told.cpim_headers
    assert not told.imdn_message_id
    assert own.wire.sent == []
    assert world.events.events == []


async def test_a_notification_about_a_message_does_not_change_it(world: MessageWorld) -> None:
    own = await world.open(policy=AS_IS)
    (outcome,) = await world.send(own, "hello")
    report = imdn(outcome.message_id, NotificationType.DELIVERY, Status.FAILED)
    answer = world.arrive(own, report, "message/cpim")
    await until(lambda: answer.given)
    assert [row.state for row in await world.rows() if row.direction == "outbound"] == [State.ACCEPTED]


async def test_a_large_message_keeps_its_wrapping(world: MessageWorld) -> None:
    own = await world.open(policy=AS_IS)
    body = wrapped(body=b"x" * 300_000)
    stream = FakeStream(world, own, content_type="message/cpim", total=len(body))
    stream.begin()
    stream.piece(body)
    stream.end()
    await until(lambda: stream.answer.given)
    (row,) = await world.rows()
    assert row.blob is not None
    assert b"".join([piece async for piece in world.blobs.read(row.blob)]) == body


async def test_a_message_of_a_type_that_was_not_offered_is_refused(world: MessageWorld) -> None:
    own = await world.open(policy={"content": "as_is", "accept_types": ("text/plain",)})
    answer = world.arrive(own, wrapped(), "message/cpim")
    await until(lambda: answer.given)
    assert answer.given == [415]


async def test_what_is_wrapped_is_sent_as_it_is(world: MessageWorld) -> None:
    own = await world.open(policy=AS_IS)
    body = wrapped(Disposition.DISPLAY).decode()
    (outcome,) = await world.send(own, body, content_type="message/cpim")
    await until(lambda: own.wire.sent)
    assert (own.wire.sent[0].content_type, own.wire.sent[0].body) == ("message/cpim", body.encode())
    assert outcome.error is None


async def test_what_is_wrapped_is_refused_for_a_peer_that_takes_no_wrapping(world: MessageWorld) -> None:
    own = await world.open(policy=AS_IS, accept_types=("text/plain",), accept_wrapped_types=())
    (outcome,) = await world.send(own, "x", content_type="message/cpim")
    assert isinstance(outcome.error, InvalidRequestError)


async def test_headers_can_not_be_put_into_a_wrapping_that_is_there(world: MessageWorld) -> None:
    own = await world.open(policy=AS_IS)
    headers = [{"name": "Subject", "value": "x"}]
    for more in ({"cpim_headers": headers}, {"notifications": {"display": True}}):
        (outcome,) = await world.send(own, wrapped().decode(), content_type="Message/CPIM", **more)
        assert isinstance(outcome.error, InvalidRequestError)


async def test_that_a_message_of_the_gateway_was_accepted_is_no_news_when_it_is_on_its_way_already(
    world: MessageWorld,
) -> None:
    own = await world.open(policy=AS_IS, application=GATEWAY)
    (first,) = await world.send(own, "one")
    await until(lambda: len(own.wire.sent) == 1)
    (claimed,) = await world.send(own, "two")
    assert {event.id for event in await world.ledger.pending_events()} == {first.message_id}
    world.settle(own, claimed.message_id)
    await world.pipeline.edits.flush(10.0)
    told = [(event.id, event.state) for event in await world.ledger.pending_events()]
    assert told == [(first.message_id, State.ACCEPTED), (claimed.message_id, State.DELIVERED)]


async def test_that_a_message_was_accepted_is_news_for_every_other_application(world: MessageWorld) -> None:
    own = await world.open(policy=AS_IS)
    (first,) = await world.send(own, "one")
    await until(lambda: len(own.wire.sent) == 1)
    (second,) = await world.send(own, "two")
    assert [event.id for event in await world.ledger.pending_events()] == [first.message_id, second.message_id]
