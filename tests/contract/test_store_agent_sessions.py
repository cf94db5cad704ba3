"""What every store has to do about the user agent's sessions: in the process, on Redis, with TLS, on a Cluster."""

from dataclasses import replace

import pytest

from tests.support.stores import WallClock, agent_session
from wigwag.errors import ConflictError
from wigwag.store import MARGIN, AgentSession, FencedError, MissingError, Store
from wigwag.store.agent_sessions import LONGEST_LEASE, MOST_CONTENT

LEASE = 6.0


async def create(store: Store, session: AgentSession, lease: float = LEASE) -> AgentSession:
    """Create a session that is not there and return it."""
    created = await store.create_agent_session(session, lease=lease)
    assert created is not None
    return created


async def found(store: Store, session_id: str = "u1") -> AgentSession | None:
    return (await store.find_agent_sessions([session_id])).get(session_id)


async def ids_of(store: Store, application: str = "", *, after: str = "", limit: int = 100) -> list[str]:
    page = await store.list_agent_sessions(application, after=after, limit=limit)
    return [session.session_id for session in page]


# Creating and claiming


async def test_a_session_is_kept_as_it_was_created(store: Store, other: Store, clock: WallClock) -> None:
    wanted = agent_session(now=clock.now, content=bytes(range(256)) * 256)
    created = await create(store, wanted)
    assert created.token == int(clock.now * 1000)
    assert created.lease_until == pytest.approx(clock.now + LEASE, abs=0.001)
    assert created == replace(wanted, token=created.token, lease_until=created.lease_until)
    assert await other.find_agent_sessions(["u0", "u1"]) == {"u1": created}


async def test_a_session_is_created_once(store: Store, other: Store, clock: WallClock) -> None:
    created = await create(store, agent_session(now=clock.now))
    assert await other.create_agent_session(agent_session(now=clock.now, pod="ua-b"), lease=LEASE) is None
    await store.end_agent_session("u1", created.token, b"over", keep=60)
    assert await other.create_agent_session(agent_session(now=clock.now, pod="ua-b"), lease=LEASE) is None


async def test_content_that_is_too_long_is_refused_and_changes_nothing(store: Store, clock: WallClock) -> None:
    too_long = bytes(MOST_CONTENT + 1)
    with pytest.raises(ConflictError):
        await store.create_agent_session(agent_session(now=clock.now, content=too_long), lease=LEASE)
    created = await create(store, agent_session(now=clock.now))
    with pytest.raises(ConflictError):
        await store.save_agent_session("u1", created.token, too_long, expires_at=clock.now + 60)
    with pytest.raises(ConflictError):
        await store.end_agent_session("u1", created.token, too_long, keep=60)
    assert await found(store) == created


async def test_a_session_with_a_living_owner_can_not_be_claimed(store: Store, other: Store, clock: WallClock) -> None:
    created = await create(store, agent_session(now=clock.now))
    clock.now += LEASE - 0.01
    assert await other.claim_agent_session("u1", "ua-b", lease=LEASE, dead=["ua-c"]) == created
    assert await other.claim_agent_session("unknown", "ua-b", lease=LEASE) is None


async def test_a_session_whose_lease_has_run_out_goes_to_one_claimant_with_its_content(
    store: Store, other: Store, clock: WallClock
) -> None:
    created = await create(store, agent_session(now=clock.now))
    clock.now += LEASE + 0.001
    claimed = await other.claim_agent_session("u1", "ua-b", lease=LEASE)
    assert claimed is not None
    assert (claimed.pod, claimed.content) == ("ua-b", created.content)
    assert claimed.token > created.token
    assert await store.claim_agent_session("u1", "ua-c", lease=LEASE) == claimed


async def test_a_session_of_a_dead_pod_is_claimed_before_its_lease_has_run_out(store: Store, clock: WallClock) -> None:
    await create(store, agent_session(now=clock.now))
    claimed = await store.claim_agent_session("u1", "ua-b", lease=LEASE, dead=["x", "ua-a"])
    assert claimed is not None
    assert claimed.pod == "ua-b"
    assert await store.agent_sessions_of(["ua-a"]) == []
    assert await store.agent_sessions_of(["ua-b"]) == ["u1"]


async def test_the_owner_itself_gets_a_higher_token(store: Store, clock: WallClock) -> None:
    created = await create(store, agent_session(now=clock.now))
    claimed = await store.claim_agent_session("u1", "ua-a", lease=LEASE)
    assert claimed is not None
    assert claimed.token == created.token + 1


async def test_a_session_that_has_ended_gets_no_owner(store: Store, clock: WallClock) -> None:
    created = await create(store, agent_session(now=clock.now))
    await store.end_agent_session("u1", created.token, b"over", keep=3600)
    clock.now += 2 * LEASE
    left = await store.claim_agent_session("u1", "ua-b", lease=LEASE, dead=["ua-a"])
    assert left is not None
    assert (left.pod, left.ended, left.content, left.lease_until) == ("", True, b"over", 0.0)
    assert left.expires_at == pytest.approx(clock.now - 2 * LEASE + 3600, abs=0.001)
    assert await store.ownerless_agent_sessions() == []


# Leases


async def test_a_lease_that_is_renewed_does_not_run_out(store: Store, other: Store, clock: WallClock) -> None:
    sessions = [await create(store, agent_session(f"u{number}", now=clock.now)) for number in range(300)]
    tokens = {session.session_id: session.token for session in sessions}
    for _ in range(3):
        clock.now += LEASE / 2
        assert await store.renew_agent_sessions("ua-a", {**tokens, "unknown": 1}, lease=LEASE) == []
    assert await other.ownerless_agent_sessions() == []
    kept = await other.claim_agent_session("u7", "ua-b", lease=LEASE)
    assert kept is not None
    assert kept == replace(sessions[7], lease_until=kept.lease_until)
    assert kept.lease_until == pytest.approx(clock.now + LEASE, abs=0.001)


async def test_renewing_tells_what_was_lost_and_leaves_it_alone(store: Store, other: Store, clock: WallClock) -> None:
    mine = [await create(store, agent_session(f"u{number}", now=clock.now)) for number in range(5)]
    clock.now += 2 * LEASE
    claimed = await other.claim_agent_session("u1", "ua-b", lease=LEASE)
    await store.end_agent_session("u2", mine[2].token, b"", keep=60)
    await store.release_agent_session("u3", mine[3].token)
    tokens = {session.session_id: session.token for session in mine}
    assert await store.renew_agent_sessions("ua-a", tokens, lease=LEASE) == ["u1", "u2", "u3"]
    assert await found(store, "u1") == claimed
    assert await other.ownerless_agent_sessions() == ["u3"]


async def test_a_claim_that_the_store_has_lost_is_restored_when_it_is_renewed(store: Store, clock: WallClock) -> None:
    created = await create(store, agent_session(now=clock.now))
    assert await store.renew_agent_sessions("ua-b", {"u1": created.token + 5}, lease=LEASE) == []
    left = await found(store)
    assert left is not None
    assert (left.pod, left.token) == ("ua-b", created.token + 5)
    assert await store.renew_agent_sessions("ua-a", {"u1": created.token}, lease=LEASE) == ["u1"]


async def test_sessions_without_an_owner_are_told_oldest_lease_first(
    store: Store, other: Store, clock: WallClock
) -> None:
    for number, lease in enumerate((9.0, 3.0, 12.0, 6.0)):
        await create(store, agent_session(f"u{number}", now=clock.now), lease)
    given_back = await create(store, agent_session("back", now=clock.now))
    await store.release_agent_session("back", given_back.token)
    assert await other.ownerless_agent_sessions() == ["back"]
    clock.now += 10
    assert await other.ownerless_agent_sessions() == ["back", "u1", "u3", "u0"]
    assert await other.ownerless_agent_sessions(limit=2) == ["back", "u1"]


async def test_a_session_that_was_given_back_may_be_claimed_at_once(
    store: Store, other: Store, clock: WallClock
) -> None:
    created = await create(store, agent_session(now=clock.now))
    await other.release_agent_session("u1", created.token - 1)
    assert await found(store) == created
    await store.release_agent_session("u1", created.token)
    await store.release_agent_session("unknown", 1)
    assert await store.agent_sessions_of(["ua-a", ""]) == []
    claimed = await other.claim_agent_session("u1", "ua-b", lease=LEASE)
    assert claimed is not None
    assert (claimed.pod, claimed.content) == ("ua-b", created.content)
    await store.release_agent_session("u1", created.token)
    assert await found(store) == claimed


async def test_a_clock_that_is_set_back_delays_a_takeover_by_no_more_than_a_lease(
    store: Store, clock: WallClock
) -> None:
    await create(store, agent_session(now=clock.now))
    clock.now -= 3000
    assert await store.ownerless_agent_sessions() == []
    clock.now += LONGEST_LEASE + 0.1
    assert await store.ownerless_agent_sessions() == ["u1"]
    claimed = await store.claim_agent_session("u1", "ua-b", lease=LEASE)
    assert claimed is not None
    assert claimed.pod == "ua-b"


async def test_a_lease_is_never_longer_than_the_longest(store: Store, clock: WallClock) -> None:
    created = await create(store, agent_session(now=clock.now), lease=1e9)
    assert created.lease_until == pytest.approx(clock.now + LONGEST_LEASE, abs=0.001)


# Writing


async def test_the_owner_writes_and_others_do_not(store: Store, other: Store, clock: WallClock) -> None:
    created = await create(store, agent_session(now=clock.now))
    clock.now += 2 * LEASE
    claimed = await other.claim_agent_session("u1", "ua-b", lease=LEASE)
    assert claimed is not None
    await other.save_agent_session("u1", claimed.token, b"new", expires_at=clock.now + 99)
    with pytest.raises(FencedError):
        await store.save_agent_session("u1", created.token, b"old", expires_at=clock.now + 60)
    with pytest.raises(FencedError):
        await store.end_agent_session("u1", created.token, b"old", keep=60)
    assert await found(store) == replace(claimed, content=b"new", expires_at=clock.now + 99)


async def test_what_has_ended_is_written_no_more_but_may_be_ended_again(store: Store, clock: WallClock) -> None:
    created = await create(store, agent_session(now=clock.now))
    for _ in range(2):
        await store.end_agent_session("u1", created.token, b"over", keep=60)
    with pytest.raises(FencedError, match="ended"):
        await store.save_agent_session("u1", created.token, b"", expires_at=clock.now + 60)
    left = await found(store)
    assert left is not None
    assert left.content == b"over"


async def test_writing_to_what_is_not_there_says_so(store: Store, clock: WallClock) -> None:
    with pytest.raises(MissingError):
        await store.save_agent_session("u1", 1, b"", expires_at=clock.now + 60)
    with pytest.raises(MissingError):
        await store.end_agent_session("u1", 1, b"", keep=60)


async def test_a_session_that_has_expired_is_gone(store: Store, clock: WallClock) -> None:
    first = await create(store, agent_session(now=clock.now, lifetime=100))
    clock.now += 100 + MARGIN + 0.01
    assert await found(store) is None
    assert await ids_of(store) == []
    assert await store.ownerless_agent_sessions() == []
    assert await store.claim_agent_session("u1", "ua-b", lease=LEASE) is None
    assert await store.put_agent_sessions([first], lease=LEASE) == []
    assert await found(store) is None
    again = await create(store, agent_session(now=clock.now, application="other"))
    assert again.token > first.token
    assert await ids_of(store, "other") == ["u1"]
    assert await ids_of(store, "helpdesk") == []


# Listing


async def test_sessions_are_listed_page_by_page_in_the_order_of_their_ids(
    store: Store, other: Store, clock: WallClock
) -> None:
    ids = sorted(f"u{number}" for number in range(25))
    for session_id in reversed(ids):
        await create(store, agent_session(session_id, now=clock.now))
    await create(store, agent_session("u5-other", now=clock.now, application="help"))
    pages = [await ids_of(other, "helpdesk", limit=10)]
    while pages[-1]:
        pages.append(await ids_of(other, "helpdesk", after=pages[-1][-1], limit=10))
    assert [len(page) for page in pages] == [10, 10, 5, 0]
    assert [session_id for page in pages for session_id in page] == ids
    assert await ids_of(other) == sorted([*ids, "u5-other"])
    assert await ids_of(other, "help") == ["u5-other"]
    assert await ids_of(other, "nobody") == []


async def test_sessions_that_have_ended_are_listed_until_they_expire(store: Store, clock: WallClock) -> None:
    created = await create(store, agent_session(now=clock.now))
    await store.end_agent_session("u1", created.token, b"over", keep=10)
    [left] = await store.list_agent_sessions("helpdesk")
    assert left.ended
    assert await store.agent_sessions_of(["ua-a"]) == []
    clock.now += 10 + MARGIN + 0.01
    assert await ids_of(store, "helpdesk") == []


async def test_the_sessions_of_pods_are_known_also_after_their_leases(store: Store, clock: WallClock) -> None:
    for session_id, pod in (("u3", "ua-a"), ("u1", "ua-b"), ("u2", "ua-a"), ("u4", "ua-aa")):
        await create(store, agent_session(session_id, now=clock.now, pod=pod))
    clock.now += 10 * LEASE
    assert await store.agent_sessions_of(["ua-a"]) == ["u2", "u3"]
    assert await store.agent_sessions_of(["ua-b", "ua-a", "ua-c", "ua-a"]) == ["u1", "u2", "u3"]


# Writing again


async def test_sessions_are_written_again_as_they_were(store: Store, other: Store, clock: WallClock) -> None:
    mine = [
        replace(agent_session(f"u{number}", now=clock.now, token=700 + number), content=b"x" * number)
        for number in range(70)
    ]
    over = agent_session("over", now=clock.now, token=5, ended=True)
    assert await store.put_agent_sessions([*mine, over], lease=LEASE) == []
    for session in mine:
        left = await found(other, session.session_id)
        assert left is not None
        assert left == replace(session, lease_until=left.lease_until)
        assert left.lease_until == pytest.approx(clock.now + LEASE, abs=0.001)
    assert await found(other, "over") == replace(over, pod="")


async def test_what_another_has_by_now_is_not_written_over(store: Store, other: Store, clock: WallClock) -> None:
    mine = [await create(store, agent_session(f"u{number}", now=clock.now)) for number in range(3)]
    clock.now += 2 * LEASE
    claimed = await other.claim_agent_session("u0", "ua-b", lease=LEASE)
    await store.end_agent_session("u1", mine[1].token, b"over", keep=60)
    newer = replace(mine[2], content=b"newer")
    assert await store.put_agent_sessions([mine[0], mine[1], newer], lease=LEASE) == ["u0", "u1"]
    assert await found(store, "u0") == claimed
    left = await found(store, "u1")
    assert left is not None
    assert left.ended
    again = await found(store, "u2")
    assert again is not None
    assert again.content == b"newer"
