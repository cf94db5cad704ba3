"""What was acknowledged before the next was handed in is shown before it, at whichever pods, and whoever loses what."""

import asyncio
import random
from pathlib import Path

import pytest

from tests.support.ua_message_pods import HELPDESK, TwoPods, accept, bodies, strand, two_pods
from tests.support.ua_messages import FakeOwned, MessageWorld, outbound, record
from tests.support.waiting import until
from wigwag.database.ledger import State
from wigwag.errors import InvalidRequestError, OverloadedError
from wigwag.ua.messages import accepting, forwarding
from wigwag.ua.ports import Outcome


async def test_nothing_is_acknowledged_that_the_owner_may_not_know_of_when_he_is_sent_the_next(tmp_path: Path) -> None:
    async with two_pods(tmp_path) as (first, second, pods):
        own = await second.open()
        first.sessions.others["s1"] = (own.record, "pod-2")
        del pods.worlds["pod-2"]
        accepting_first = asyncio.create_task(accept(first, "one"))
        await until(lambda: pods.refused >= 2)
        assert not accepting_first.done()
        pods.worlds["pod-2"] = second
        await accepting_first
        await second.send(own, "two")
        await until(lambda: len(own.wire.sent) == 2)
        assert bodies(own) == [b"one", b"two"]


async def test_caller_is_told_to_try_again_when_no_owner_is_reached_and_nothing_was_accepted(tmp_path: Path) -> None:
    async with two_pods(tmp_path) as (first, second, pods):
        first.sessions.others["s1"] = (record(), "pod-2")
        first.pipeline.forwarding._patience = 0.0
        del pods.worlds["pod-2"]
        with pytest.raises(OverloadedError):
            await accept(first, "one")
        assert await second.rows() == []


async def test_message_whose_answer_was_lost_is_accepted_once_and_is_no_duplicate_to_who_sent_it(
    tmp_path: Path,
) -> None:
    async with two_pods(tmp_path) as (first, second, pods):
        own = await second.open()
        first.sessions.others["s1"] = (own.record, "pod-2")
        pods.loses_answers = True
        (message_id,) = await accept(first, "one")
        await until(lambda: own.wire.sent)
        assert [row.id for row in await second.rows()] == [message_id]


async def test_owner_refuses_in_the_words_in_which_any_pod_does(tmp_path: Path) -> None:
    async with two_pods(tmp_path) as (first, second, _):
        own = await second.open()
        first.sessions.others["s1"] = (own.record, "pod-2")
        (outcome,) = await first.pipeline.accept(own.record, HELPDESK, [outbound("")])
        assert isinstance(outcome.error, InvalidRequestError)
        assert str(outcome.error) == "body: empty"


async def test_owner_who_has_lost_the_session_unawares_lets_the_next_one_have_the_message_first(tmp_path: Path) -> None:
    async with two_pods(tmp_path) as (first, second, _):
        stale = await first.open()
        own = await second.open(token=2)
        await until(lambda: second.pipeline.delivery.flow(own).loaded)
        stale.wire.line_is_up = False
        first.sessions.lost_to["s1"] = "pod-2"
        (outcome,) = await first.send(stale, "one")
        assert outcome.error is None
        await second.send(own, "two")
        await until(lambda: len(own.wire.sent) == 2)
        assert bodies(own) == [b"one", b"two"]


async def test_owner_who_has_lost_the_session_does_not_acknowledge_what_the_next_one_can_not_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accepting, "_BROUGHT_IN", 0.05)
    async with two_pods(tmp_path) as (first, _, pods):
        stale = await first.open()
        first.sessions.lost_to["s1"] = "pod-2"
        del pods.worlds["pod-2"]
        (outcome,) = await first.send(stale, "one", idempotency_key="1")
        assert isinstance(outcome.error, OverloadedError)
        assert await first.states() == [State.ACCEPTED]


async def test_what_is_brought_before_the_ledger_was_read_has_the_place_that_the_ledger_says(tmp_path: Path) -> None:
    async with two_pods(tmp_path) as (_, second, _):
        gate = asyncio.Event()
        undelivered = second.ledger.undelivered

        async def slowly(**wanted: object) -> object:
            await gate.wait()
            return await undelivered(**wanted)  # type: ignore[arg-type]

        second.ledger.undelivered = slowly  # type: ignore[method-assign,assignment]
        earlier = [await strand(second, body) for body in ("one", "two")]
        own = await second.open()
        await second.send(own, "three")
        await second.pipeline.handover.bring([("s1", earlier[0])])
        await second.send(own, "four")
        gate.set()
        await until(lambda: len(own.wire.sent) == 4)
        assert bodies(own) == [b"one", b"two", b"three", b"four"]


class Cluster:
    """Two pods between which a session goes back and forth, unawares of the one that loses it."""

    def __init__(self, two: TwoPods, chance: random.Random) -> None:
        self._two, self._chance = two, chance
        self._worlds: list[MessageWorld] = [two.first, two.second]
        self._names = ["pod-1", "pod-2"]
        self._owner = 0
        self._token = 1
        self._own: FakeOwned
        self.shown: list[bytes] = []
        """Bodies, each once, as the SIP user sees them."""

    async def open(self) -> None:
        """Let the first pod own the session."""
        self._own = await self._worlds[0].open(token=1)
        self._worlds[1].sessions.others["s1"] = (self._own.record, "pod-1")

    def look(self) -> None:
        """Let the SIP user see what the owner has sent: the relay takes nothing of anybody else."""
        for message in self._own.wire.sent:
            body = message.body
            assert isinstance(body, bytes)
            if body not in self.shown:
                self.shown.append(body)
        self._own.wire.sent.clear()

    async def take_over(self) -> None:
        """Let the other pod own it; the former one finds out when it asks."""
        self.look()
        former = self._owner
        self._own.wire.line_is_up = False
        self._owner, self._token = 1 - former, self._token + 1
        world = self._worlds[self._owner]
        await world.sessions.confirm()
        world.sessions.others.pop("s1", None)
        self._worlds[former].sessions.lost_to["s1"] = self._names[self._owner]
        self._own = await world.open(token=self._token)

    async def send(self, body: str) -> None:
        """Send at any pod until it is acknowledged, as an application does."""
        while True:
            world = self._chance.choice(self._worlds)
            own = world.sessions.owned("s1")
            message = outbound(body, idempotency_key=body)
            try:
                (outcome,) = await world.pipeline.accept(
                    own.record if own is not None else record(), HELPDESK, [message]
                )
            except OverloadedError as error:
                outcome = Outcome(error=error)
            if outcome.error is None:
                return

    def cut(self) -> None:
        """Let pods reach each other, or not."""
        reached = self._chance.random() < 0.7
        self._two.pods.worlds = dict(zip(self._names, self._worlds, strict=True)) if reached else {}


@pytest.mark.parametrize("seed", range(8))
async def test_order_holds_whoever_is_asked_and_whoever_has_the_session(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accepting, "_BROUGHT_IN", 0.05)
    chance = random.Random(seed)
    async with two_pods(tmp_path) as two:
        for world in (two.first, two.second):
            world.pipeline.forwarding._patience = 0.0
        cluster = Cluster(two, chance)
        await cluster.open()
        wanted = [f"{number:02}" for number in range(24)]
        for body in wanted:
            if chance.random() < 0.3:
                await cluster.take_over()
            cluster.cut()
            await cluster.send(body)
            cluster.look()
        two.pods.worlds = {"pod-1": two.first, "pod-2": two.second}

        def all_shown() -> bool:
            cluster.look()
            return len(cluster.shown) == len(wanted)

        await until(all_shown)
        assert cluster.shown == [body.encode() for body in wanted]


async def test_owner_who_never_answers_keeps_no_later_messages_from_him(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "_ANSWERED_IN", 0.05)
    async with two_pods(tmp_path) as (first, second, pods):
        own = await second.open()
        first.sessions.others["s1"] = (own.record, "pod-2")
        first.pipeline.forwarding._patience = 0.0
        pods.hangs = True
        for _ in range(5):
            with pytest.raises(OverloadedError):
                await accept(first, "lost")
        pods.hangs = False
        await accept(first, "one")
        await until(lambda: own.wire.sent)
