"""What every store has to do about the gateway's conversations: in the process, on Redis, with TLS, on a Cluster."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.support.redis_server import RedisCluster, RedisServer
from tests.support.stores import PATIENT, WallClock, conversation
from wigwag.errors import ConflictError, OverloadedError
from wigwag.store import MARGIN, Conversation, Store
from wigwag.store.redis import RedisStore
from wigwag.store.redis.conversations import TAKEN
from wigwag.store.redis.server import Script

ALICE, BOB, DESK = "sip:alice@example.com", "sip:bob@example.com", "sip:desk@example.com"
KEEP = 3600.0


async def opened(
    store: Store, wanted: Conversation | None = None, *, after: int = 0, most: int = 100, keep: float = KEEP
) -> Conversation:
    """Open a conversation that nobody else has open, and return it."""
    known, is_ours = await store.open_conversation(wanted or conversation(), after=after, most=most, keep=keep)
    assert is_ours
    return known


async def closed(store: Store, known: Conversation, reason: str = "BYE", *, keep: float = KEEP) -> Conversation:
    return await store.put_conversation(replace(known, state="closed", session_id="", reason=reason), keep=keep)


async def found(store: Store, key: str | None = None) -> Conversation | None:
    key = key or conversation().key
    return (await store.find_conversations([key])).get(key)


async def keys_of(store: Store, address: str = "", *, after: str = "", limit: int = 100) -> list[str]:
    return [known.key for known in await store.list_conversations(address, after=after, limit=limit)]


# Opening


async def test_a_conversation_is_kept_as_it_was_opened(store: Store, other: Store, clock: WallClock) -> None:
    wanted = conversation(started_by="session", reason="why not ü")
    known = await opened(store, wanted)
    assert known == replace(wanted, generation=int(clock.now * 1000), created_at=clock.now)
    assert await other.find_conversations(["unknown", wanted.key]) == {wanted.key: known}


async def test_what_stands_is_told_to_who_comes_later(store: Store, other: Store) -> None:
    known = await opened(store)
    late = conversation(started_by="session", session_id="u9")
    assert await other.open_conversation(late, after=0, most=100, keep=KEEP) == (known, False)
    assert await other.open_conversation(late, after=known.generation - 1, most=100, keep=KEEP) == (known, False)
    assert await found(store) == known


async def test_who_knows_that_a_generation_is_over_begins_the_next(store: Store, other: Store) -> None:
    first = await opened(store)
    second = await opened(other, after=first.generation)
    assert second.generation > first.generation
    assert await store.open_conversation(conversation(), after=first.generation, most=9, keep=KEEP) == (second, False)


async def test_a_closed_conversation_is_opened_again_with_a_higher_generation(
    store: Store, other: Store, clock: WallClock
) -> None:
    first = await opened(store)
    await closed(store, first)
    clock.now -= 5000
    second = await opened(other)
    assert second.generation == first.generation + 1
    assert (second.state, second.reason, second.session_id) == ("starting", "", "")


async def test_of_many_who_open_at_once_one_succeeds_and_all_know_its_generation(store: Store, other: Store) -> None:
    answers = await asyncio.gather(
        *((store, other)[n % 2].open_conversation(conversation(), after=0, most=1, keep=KEEP) for n in range(50))
    )
    assert sum(is_ours for _, is_ours in answers) == 1
    assert len({known.generation for known, _ in answers}) == 1
    assert await keys_of(store) == [conversation().key]


async def test_of_many_who_open_after_the_same_end_one_succeeds(store: Store, other: Store) -> None:
    generations = [0]
    for _ in range(5):
        answers = await asyncio.gather(
            *(
                pod.open_conversation(conversation(), after=generations[-1], most=1, keep=KEEP)
                for pod in (store, other) * 4
            )
        )
        [known] = [known for known, is_ours in answers if is_ours]
        generations.append(known.generation)
    assert generations == sorted(set(generations))


async def test_what_is_too_long_is_refused(store: Store) -> None:
    for wanted in (replace(conversation(), key="k" * 513), conversation(reason="x" * 9000)):
        with pytest.raises(ConflictError):
            await store.open_conversation(wanted, after=0, most=9, keep=KEEP)
        with pytest.raises(ConflictError):
            await store.put_conversation(wanted, keep=KEEP)
    assert await keys_of(store) == []


# How many an address may have


async def test_an_address_has_no_more_conversations_than_it_may_have(store: Store, other: Store) -> None:
    for number in range(3):
        await opened(store, conversation(ALICE, f"sip:bob{number}@example.com"), most=3)
    for refused in (conversation(ALICE, BOB), conversation(BOB, ALICE), conversation(DESK, ALICE)):
        with pytest.raises(OverloadedError, match="alice"):
            await other.open_conversation(refused, after=0, most=3, keep=KEEP)
    assert await keys_of(store, BOB) == []
    await opened(other, conversation(ALICE, BOB), most=4)


async def test_who_was_refused_took_no_place_of_the_other_side(store: Store) -> None:
    await opened(store, conversation(DESK, "sip:x@example.com"), most=1)
    for _ in range(5):
        with pytest.raises(OverloadedError):
            await store.open_conversation(conversation(ALICE, DESK), after=0, most=1, keep=KEEP)
    await opened(store, conversation(ALICE, BOB), most=1)


async def test_a_conversation_that_is_open_is_told_although_its_parties_have_no_room(store: Store) -> None:
    known = await opened(store, most=1)
    assert await store.open_conversation(conversation(), after=0, most=0, keep=KEEP) == (known, False)
    assert (await opened(store, after=known.generation, most=1)).generation > known.generation


async def test_closing_gives_the_places_back(store: Store, other: Store) -> None:
    known = await opened(store, most=1)
    with pytest.raises(OverloadedError):
        await store.open_conversation(conversation(ALICE, DESK), after=0, most=1, keep=KEEP)
    await closed(other, known)
    await opened(store, conversation(ALICE, DESK), most=1)
    await opened(store, conversation("sip:carol@example.com", BOB), most=1)


async def test_a_conversation_that_has_expired_gives_its_places_back(store: Store, clock: WallClock) -> None:
    await opened(store, most=1, keep=100)
    clock.now += 100 + MARGIN - 0.01
    with pytest.raises(OverloadedError):
        await store.open_conversation(conversation(ALICE, DESK), after=0, most=1, keep=KEEP)
    clock.now += 0.02
    await opened(store, conversation(ALICE, DESK), most=1)


async def test_a_conversation_that_is_written_again_keeps_its_places(store: Store, clock: WallClock) -> None:
    known = await opened(store, most=1, keep=100)
    for _ in range(3):
        clock.now += 100
        await store.put_conversation(replace(known, state="open", session_id="u1"), keep=100)
    with pytest.raises(OverloadedError):
        await store.open_conversation(conversation(ALICE, DESK), after=0, most=1, keep=KEEP)


async def test_of_many_who_want_the_last_place_one_gets_it(store: Store, other: Store) -> None:
    wanted = [conversation(DESK, f"sip:user{number}@example.com") for number in range(20)]
    answers = await asyncio.gather(
        *((store, other)[n % 2].open_conversation(one, after=0, most=5, keep=KEEP) for n, one in enumerate(wanted)),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, OverloadedError) for answer in answers) == 15
    assert len(await keys_of(store, DESK)) == 5


async def test_a_conversation_with_oneself_has_one_place(store: Store) -> None:
    known = await opened(store, conversation(ALICE, ALICE), most=1)
    assert await keys_of(store, ALICE) == [known.key]
    await closed(store, known)
    await opened(store, most=1)


# Writing


async def test_news_of_this_generation_is_written(store: Store, other: Store) -> None:
    known = await opened(store)
    now_open = replace(known, state="open", session_id="u1")
    assert await other.put_conversation(now_open, keep=KEEP) == now_open
    assert await found(store) == now_open


async def test_news_of_a_generation_that_is_gone_changes_nothing(store: Store, other: Store) -> None:
    first = await opened(store)
    second = await opened(other, after=first.generation)
    assert await store.put_conversation(replace(first, state="open", session_id="u1"), keep=KEEP) == second
    assert await closed(store, first) == second
    assert await found(store) == second
    assert await keys_of(store, ALICE) == [second.key]
    with pytest.raises(OverloadedError):
        await store.open_conversation(conversation(ALICE, DESK), after=0, most=1, keep=KEEP)


async def test_what_is_closed_stays_closed_in_its_generation(store: Store, other: Store) -> None:
    known = await opened(store)
    over = await closed(store, known)
    assert await other.put_conversation(replace(known, state="open", session_id="u1"), keep=KEEP) == over
    assert await closed(other, known, "another reason") == over
    assert await keys_of(store) == await keys_of(store, BOB) == []
    assert await found(store) == over


async def test_how_often_it_failed_is_written_after_it_was_closed(store: Store, other: Store) -> None:
    over = await closed(store, replace(await opened(store), failures=3))
    assert await other.put_conversation(replace(over, failures=0), keep=KEEP) == replace(over, failures=0)
    assert await found(store) == replace(over, failures=0)
    assert await keys_of(store) == []


async def test_a_conversation_expires_unless_it_is_written_again(store: Store, clock: WallClock) -> None:
    known = await opened(store, keep=100)
    clock.now += 90
    await store.put_conversation(replace(known, state="open"), keep=100)
    clock.now += 100 + MARGIN - 0.01
    assert await found(store) is not None
    clock.now += 0.02
    assert await found(store) is None
    assert await keys_of(store) == await keys_of(store, ALICE) == []


async def test_the_generation_of_what_was_forgotten_is_not_given_out_again(store: Store, clock: WallClock) -> None:
    first = await opened(store, keep=1)
    clock.now += 1 + MARGIN + 0.01
    assert (await opened(store)).generation > first.generation


async def test_a_store_that_came_back_empty_knows_what_is_written_again(store: Store, other: Store) -> None:
    """Nobody told this store of the generation: it is as one that lost it."""
    lost = conversation(generation=2**50, state="open", session_id="u1", created_at=1.25)
    assert await store.put_conversation(lost, keep=KEEP) == lost
    assert await other.open_conversation(conversation(), after=2**50 - 1, most=9, keep=KEEP) == (lost, False)
    assert await keys_of(other, ALICE) == await keys_of(other) == [lost.key]
    assert (await opened(other, after=2**50)).generation == 2**50 + 1


async def test_a_generation_follows_that_which_the_caller_knows_also_in_a_store_that_lost_it(store: Store) -> None:
    assert (await opened(store, after=2**50)).generation == 2**50 + 1


# Listing


async def test_conversations_are_listed_page_by_page_in_the_order_of_their_keys(store: Store, other: Store) -> None:
    known = [await opened(store, conversation(DESK, f"sip:user{number}@example.com")) for number in range(25)]
    foreign = await opened(store, conversation(ALICE, "sip:ünter@example.com"))
    keys = sorted(one.key for one in known)
    pages = [await keys_of(other, DESK, limit=10)]
    while pages[-1]:
        pages.append(await keys_of(other, DESK, after=pages[-1][-1], limit=10))
    assert [len(page) for page in pages] == [10, 10, 5, 0]
    assert [key for page in pages for key in page] == keys
    assert await keys_of(other) == sorted([*keys, foreign.key])
    assert await keys_of(other, limit=3) == sorted([*keys, foreign.key])[:3]
    assert await keys_of(other, after=keys[20], limit=3) == keys[21:24]
    assert await keys_of(other, "sip:user7@example.com") == [known[7].key]
    assert await keys_of(other, "nobody") == []


async def test_what_is_closed_is_not_listed_and_does_not_shorten_a_page(store: Store) -> None:
    known = [await opened(store, conversation(DESK, f"sip:user{number}@example.com")) for number in range(10)]
    for one in known[:5]:
        await closed(store, one)
    assert await keys_of(store, DESK, limit=5) == [one.key for one in known[5:]]
    assert await keys_of(store, limit=5) == [one.key for one in known[5:]]


# On Redis only


@pytest.fixture
async def cluster(redis_cluster: RedisCluster, clock: WallClock) -> AsyncIterator[RedisStore]:
    async with RedisStore(redis_cluster.url, timeout=PATIENT, prefix="spread", clock=clock) as spread:
        yield spread


@pytest.fixture
async def single(redis: RedisServer, clock: WallClock) -> AsyncIterator[RedisStore]:
    with redis.admin() as admin:
        admin.flushall()
    async with RedisStore(redis.url, timeout=PATIENT, clock=clock) as alone:
        yield alone


@pytest.mark.peer("redis-server")
async def test_what_a_pod_took_that_died_comes_back_by_itself(single: RedisStore, clock: WallClock) -> None:
    """Killed between the places and the conversation."""
    assert await single._take_places(conversation(ALICE, DESK), 1) == ""
    with pytest.raises(OverloadedError):
        await single.open_conversation(conversation(), after=0, most=1, keep=KEEP)
    await opened(single, conversation(ALICE, DESK), most=1, keep=1.0)
    assert await single._take_places(conversation("sip:carol@example.com", BOB), 1) == ""
    clock.now += TAKEN + MARGIN + 0.01
    await opened(single, most=1)


async def test_who_loses_does_not_shorten_the_place_of_who_won(store: Store, other: Store, clock: WallClock) -> None:
    known = await opened(store, most=1)
    assert await other.open_conversation(conversation(), after=0, most=1, keep=KEEP) == (known, False)
    clock.now += TAKEN + MARGIN + 1
    with pytest.raises(OverloadedError):
        await other.open_conversation(conversation(ALICE, DESK), after=0, most=1, keep=KEEP)


@pytest.mark.peer("redis-server")
async def test_a_place_that_another_keeps_by_now_is_not_given_back(single: RedisStore) -> None:
    """Taken by one who is refused on the other side, and opened by another before he gives it back."""
    known = await opened(single)
    await single._run(Script("give_place"), (single._keys.places(ALICE),), known.key, str(TAKEN))
    assert await keys_of(single, ALICE) == [known.key]


@pytest.mark.peer("redis-server")
async def test_a_place_that_was_lost_comes_back_with_the_next_write(single: RedisStore, redis: RedisServer) -> None:
    known = await opened(single)
    with redis.admin() as admin:
        assert admin.delete(f"wigwag:{{{ALICE.replace('@', '%40')}}}:conversations") == 1
    await single.put_conversation(replace(known, state="open"), keep=KEEP)
    assert await keys_of(single, ALICE) == [known.key]


@pytest.mark.peer("redis-server")
async def test_a_server_keeps_nothing_for_ever(single: RedisStore, redis: RedisServer) -> None:
    known = await opened(single, keep=100)
    await opened(single, conversation(ALICE, DESK), keep=100)
    await closed(single, known, keep=200)
    with redis.admin() as admin:
        keys = list(admin.scan_iter("*conversation*"))
        assert len(keys) >= 5
        for key in keys:
            assert 0 < admin.pttl(key) <= (200 + MARGIN) * 1000, key


@pytest.mark.peer("redis-server")
async def test_an_index_does_not_grow_by_what_has_expired(
    single: RedisStore, redis: RedisServer, clock: WallClock
) -> None:
    for round_ in range(20):
        for number in range(10):
            one = conversation(f"sip:a{round_}.{number}@example.com", f"sip:b{round_}.{number}@example.com")
            await opened(single, one, keep=1.0)
        clock.now += 2 * MARGIN
    with redis.admin() as admin:
        left = sum(admin.zcard(key) for key in admin.scan_iter("*{conversations-*}:open"))
    assert left < 100


@pytest.mark.peer("redis-server")
async def test_conversations_are_spread_over_a_cluster(cluster: RedisStore, redis_cluster: RedisCluster) -> None:
    for number in range(40):
        await opened(cluster, conversation(DESK, f"sip:user{number}@example.com"))
    counts = []
    for server in redis_cluster.masters:
        with server.admin() as admin:
            counts.append(len(list(admin.scan_iter("spread:*:conversation"))))
    assert sum(counts) == 40
    assert min(counts) > 0
    assert len(await keys_of(cluster, DESK)) == len(await keys_of(cluster)) == 40
