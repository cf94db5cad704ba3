import asyncio
from dataclasses import replace

from tests.support.stores import ALICE, Listener, WallClock, binding, claim, record
from wigwag.store import MARGIN, Change, Gap, PeerBinding, Pod
from wigwag.store.memory import SWEEP_INTERVAL, MemoryStore
from wigwag.store.notices import MOST_PENDING, Notices

HERE = PeerBinding("pod-a", 1)


async def test_a_process_that_is_alone_always_has_its_store() -> None:
    told: list[tuple[bool, str]] = []
    async with MemoryStore(on_availability=lambda *news: told.append(news)):
        assert told == [(True, "in the process")]


async def test_what_has_expired_is_forgotten_without_anyone_asking_for_it() -> None:
    clock = WallClock()
    store = MemoryStore(clock=clock)
    await claim(store, record(now=clock.now, lifetime=10))
    await store.claim_owner(ALICE, "s1", expires_at=clock.now + 10, most=1)
    await store.bind_peer("s1", "p", HERE, expires_at=clock.now + 10)
    await store.register("u", call_id="c", cseq=1, bindings=[binding(now=clock.now, lifetime=10)], most=1)
    await store.use_nonce("n", 1, expires_at=clock.now + 10)
    clock.now += 10 + MARGIN + SWEEP_INTERVAL
    await store.beat(Pod(id="pod-a", address=""))
    assert not any((store._records, store._owners, store._peers, store._registrations, store._nonces._values))


async def test_a_listener_who_is_slow_gets_a_gap_instead_of_what_he_missed() -> None:
    notices = Notices()
    listening = notices.listen()
    assert await anext(listening) == Gap()
    changes = [Change("s1", epoch, "pod-a") for epoch in range(MOST_PENDING + 1)]
    for change in changes:
        notices.tell(change)
    assert [await anext(listening) for _ in range(2)] == [Gap(), changes[-1]]
    await listening.aclose()
    notices.tell(changes[0])


async def test_a_listener_waits_for_what_comes() -> None:
    clock = WallClock()
    store = MemoryStore(clock=clock)
    async with Listener(store) as listener:
        waiting = asyncio.ensure_future(listener.next())
        first = await claim(store, record(now=clock.now))
        await asyncio.sleep(0)
        assert not waiting.done()
        await claim(store, replace(record(now=clock.now), pod="pod-b"))
        assert await waiting == Change("s1", first.epoch + 1, "pod-b")
