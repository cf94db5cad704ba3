"""What every store has to do: in the process, on Redis, on Redis with TLS and a user, on a Redis Cluster."""

import asyncio
from dataclasses import replace

import pytest

from tests.support.stores import ALICE, BOB, Listener, WallClock, claim, record
from wigwag.store import (
    FORGOTTEN_AFTER,
    MARGIN,
    Change,
    FencedError,
    Gap,
    Owner,
    PeerBinding,
    Pod,
    RecordState,
    SessionRecord,
    Store,
    TooManySessionsError,
)

HOUR = 3600.0
HERE, THERE = PeerBinding("pod-a", 7), PeerBinding("pod-b", 9)


async def found(store: Store, session_id: str = "s1") -> SessionRecord | None:
    return (await store.find_sessions([session_id])).get(session_id)


# Pods


async def test_each_pod_sees_all_that_beat(store: Store, other: Store, clock: WallClock) -> None:
    first = Pod(id="relay-0.1", address="10.0.0.1:2857", rpc="10.0.0.1:50051")
    second = Pod(id="relay-1.1", address="unix:/run/relay", draining=True)
    await store.beat(first)
    clock.now += 2.0
    membership = await other.beat(second)
    ages = {sighting.pod: sighting.age for sighting in membership.sightings}
    assert ages == {first: pytest.approx(2.0, abs=0.001), second: 0.0}
    assert membership.time == pytest.approx(clock.now, abs=0.001)


async def test_a_later_beat_replaces_what_the_pod_said(store: Store) -> None:
    await store.beat(Pod(id="relay-0.1", address="a:1"))
    membership = await store.beat(Pod(id="relay-0.1", address="a:1", draining=True))
    assert [sighting.pod.draining for sighting in membership.sightings] == [True]


async def test_a_pod_that_leaves_is_forgotten_with_its_status(store: Store) -> None:
    await store.beat(Pod(id="relay-0.1", address=""))
    await store.put_status("relay-0.1", b"\x00\xff")
    await store.leave("relay-0.1")
    membership = await store.beat(Pod(id="relay-1.1", address=""))
    assert [sighting.pod.id for sighting in membership.sightings] == ["relay-1.1"]
    assert await store.statuses() == {}


async def test_a_pod_is_forgotten_an_hour_after_its_last_beat(store: Store, clock: WallClock) -> None:
    await store.beat(Pod(id="old", address=""))
    await store.put_status("old", b"status")
    await store.put_status("never-beat", b"status")
    clock.now += FORGOTTEN_AFTER - 1
    assert len((await store.beat(Pod(id="new", address=""))).sightings) == 2
    clock.now += 2
    assert [seen.pod.id for seen in (await store.beat(Pod(id="new", address=""))).sightings] == ["new"]
    assert await store.statuses() == {}


async def test_a_dead_pod_does_not_look_alive_when_the_clock_is_set_back(store: Store, clock: WallClock) -> None:
    await store.beat(Pod(id="dead", address=""))
    clock.now -= HOUR
    await store.beat(Pod(id="alive", address=""))
    clock.now += 5
    ages = {seen.pod.id: seen.age for seen in (await store.beat(Pod(id="alive", address=""))).sightings}
    assert ages == {"dead": pytest.approx(5.0), "alive": 0.0}


async def test_the_generation_is_the_same_while_nothing_is_lost(store: Store, other: Store) -> None:
    pod = Pod(id="relay-0.1", address="")
    generations = {(await opened.beat(pod)).generation for opened in (store, other, store, other)}
    assert len(generations) == 1


async def test_what_is_kept_grows_old_while_nothing_is_lost(store: Store, other: Store, clock: WallClock) -> None:
    await store.beat(Pod(id="relay-0.1", address=""))
    before = await store.held_for("sip:a@example.com")
    clock.now += 30
    assert await other.held_for("sip:a@example.com") >= before + 30


async def test_statuses_of_all_pods_are_seen_by_each(store: Store, other: Store) -> None:
    await store.put_status("relay-0.1", b"{}")
    await other.put_status("relay-1.1", b"\x00\xfe")
    await other.put_status("relay-1.1", b"\x00\xff")
    assert await store.statuses() == {"relay-0.1": b"{}", "relay-1.1": b"\x00\xff"}


# Owners


async def test_an_owner_gets_the_same_session_again(store: Store, other: Store, clock: WallClock) -> None:
    expires_at = clock.now + 300
    assert await store.claim_owner(ALICE, "s1", expires_at=expires_at, most=1) == "s1"
    assert await other.claim_owner(ALICE, "s2", expires_at=expires_at, most=1) == "s1"


async def test_a_session_that_is_gone_is_replaced_but_no_other_is(store: Store, clock: WallClock) -> None:
    expires_at = clock.now + 300
    await store.claim_owner(ALICE, "s1", expires_at=expires_at, most=1)
    assert await store.claim_owner(ALICE, "s2", expires_at=expires_at, most=1, replacing="s0") == "s1"
    assert await store.claim_owner(ALICE, "s2", expires_at=expires_at, most=1, replacing="s1") == "s2"
    assert await store.claim_owner(ALICE, "s3", expires_at=expires_at, most=1, replacing="s1") == "s2"


async def test_a_user_has_no_more_sessions_than_he_may(store: Store, clock: WallClock) -> None:
    elsewhere = [replace(ALICE, client_uri=f"msrp://host{number};tcp") for number in range(3)]
    for number, owner in enumerate(elsewhere[:2]):
        await store.claim_owner(owner, f"s{number}", expires_at=clock.now + 300, most=2)
    with pytest.raises(TooManySessionsError, match=r"alice@example.com has 2 sessions"):
        await store.claim_owner(elsewhere[2], "s2", expires_at=clock.now + 300, most=2)
    assert await store.claim_owner(BOB, "s3", expires_at=clock.now + 300, most=2) == "s3"
    await store.release_owner(elsewhere[0], "s0")
    assert await store.claim_owner(elsewhere[2], "s2", expires_at=clock.now + 300, most=2) == "s2"


async def test_sessions_that_have_expired_make_room(store: Store, clock: WallClock) -> None:
    elsewhere = replace(ALICE, client_uri="msrp://elsewhere;tcp")
    await store.claim_owner(ALICE, "s1", expires_at=clock.now + 300, most=1)
    clock.now += 300 + MARGIN
    assert await store.claim_owner(elsewhere, "s2", expires_at=clock.now + 300, most=1) == "s2"
    assert await store.claim_owner(ALICE, "s3", expires_at=clock.now + 300, most=2) == "s3"


async def test_an_owner_who_comes_again_is_known_for_longer(store: Store, clock: WallClock) -> None:
    await store.claim_owner(ALICE, "s1", expires_at=clock.now + 10, most=1)
    await store.claim_owner(ALICE, "s2", expires_at=clock.now + 300, most=1)
    await store.claim_owner(ALICE, "s3", expires_at=clock.now + 20, most=1)
    clock.now += 299 + MARGIN
    assert await store.claim_owner(ALICE, "s4", expires_at=clock.now + 10, most=1) == "s1"


async def test_an_owner_is_released_from_no_session_but_the_one_named(store: Store, clock: WallClock) -> None:
    await store.claim_owner(ALICE, "s1", expires_at=clock.now + 300, most=1)
    await store.release_owner(ALICE, "s0")
    assert await store.claim_owner(ALICE, "s2", expires_at=clock.now + 300, most=1) == "s1"


@pytest.mark.parametrize(
    ("one", "another"),
    [
        (("a@b", "c"), ("a", "b@c")),
        (("}a", "c"), ("a", "c")),
        (("{x}", "c"), ("x", "c")),
        (("é", "c"), ("\udce9", "c")),
    ],
)
async def test_names_with_odd_characters_are_users_of_their_own(
    store: Store, clock: WallClock, one: tuple[str, str], another: tuple[str, str]
) -> None:
    for number, (username, realm) in enumerate((one, another)):
        owner = Owner(username, realm, "msrp://a b\n;tcp")
        assert await store.claim_owner(owner, f"s{number}", expires_at=clock.now + 300, most=1) == f"s{number}"
        wanted = record(f"s{number}{username}", now=clock.now, owner=owner)
        claimed = await claim(store, wanted)
        assert await found(store, wanted.session_id) == claimed


# Claims of sessions


async def test_a_new_session_is_written_as_it_is(store: Store, other: Store, clock: WallClock) -> None:
    wanted = record(now=clock.now)
    claimed = await store.claim_session(wanted, must_exist=False, resume_window=60)
    assert claimed is not None
    assert claimed.previous is None
    assert claimed.record == replace(wanted, epoch=int(clock.now * 1000))
    assert await found(other) == claimed.record


async def test_a_session_that_is_gone_is_not_claimed_when_it_must_exist(store: Store, clock: WallClock) -> None:
    assert await store.claim_session(record(now=clock.now), must_exist=True, resume_window=60) is None
    assert await found(store) is None


async def test_newest_auth_wins_and_the_uri_stays(store: Store, other: Store, clock: WallClock) -> None:
    first = await claim(store, record(now=clock.now))
    clock.now += 10
    wanted = replace(record(now=clock.now, pod="pod-b", connection=4), uri="msrp://another", client_host="relay.b")
    claimed = await other.claim_session(wanted, must_exist=True, resume_window=60)
    assert claimed is not None
    assert claimed.previous == first
    assert claimed.record == replace(wanted, uri=first.uri, created=first.created, epoch=claimed.record.epoch)
    assert claimed.record.epoch > first.epoch
    assert await found(store) == claimed.record


async def test_a_lower_fencing_token_changes_nothing(store: Store, other: Store, clock: WallClock) -> None:
    wanted = replace(record(now=clock.now), fencing_token=1_700_000_000_007)
    before = await claim(store, wanted)
    assert (await found(other)) == before
    clock.now += 100
    for token in (0, 6, 1_700_000_000_006):
        with pytest.raises(FencedError):
            await other.claim_session(
                replace(record(now=clock.now, pod="pod-b"), fencing_token=token), must_exist=True, resume_window=60
            )
    assert await found(store) == before
    for token in (1_700_000_000_007, 1_700_000_000_008):
        after = await claim(other, replace(record(now=clock.now, pod="pod-b"), fencing_token=token))
        assert (await found(store)) == after
        assert (after.pod, after.uri, after.fencing_token) == ("pod-b", before.uri, token)


async def test_a_lower_fencing_token_does_not_end_what_has_lapsed(store: Store, clock: WallClock) -> None:
    before = await claim(store, replace(record(now=clock.now), fencing_token=7))
    await store.suspend_session(before.session_id, before.epoch)
    clock.now += 61
    with pytest.raises(FencedError):
        await store.claim_session(
            replace(record(now=clock.now, pod="pod-b"), fencing_token=6), must_exist=True, resume_window=60
        )
    assert await found(store) is not None


async def test_the_fencing_token_is_written_again(store: Store, other: Store, clock: WallClock) -> None:
    before = replace(record(now=clock.now), epoch=5, fencing_token=7)
    assert not await store.put_sessions([before])
    assert await found(other) == before


async def test_fifty_claims_at_once_have_fifty_epochs_and_the_highest_is_in_force(
    store: Store, other: Store, clock: WallClock
) -> None:
    pods = [store if number % 2 else other for number in range(50)]
    claims = await asyncio.gather(
        *(claim(pod, record(now=clock.now, connection=number)) for number, pod in enumerate(pods))
    )
    assert len({claimed.epoch for claimed in claims}) == 50
    assert await found(store) == max(claims, key=lambda claimed: claimed.epoch)


async def test_fifty_claimants_of_an_owner_agree_on_one_session(store: Store, other: Store, clock: WallClock) -> None:
    sessions = await asyncio.gather(
        *(
            (store if number % 2 else other).claim_owner(ALICE, f"s{number}", expires_at=clock.now + 300, most=1)
            for number in range(50)
        )
    )
    assert len(set(sessions)) == 1


async def test_epochs_grow_while_the_clock_goes_back(store: Store, clock: WallClock) -> None:
    first = await claim(store, record(now=clock.now))
    clock.now -= HOUR
    second = await claim(store, record(now=clock.now, pod="pod-b"))
    assert second.epoch == first.epoch + 1


async def test_the_new_epoch_is_above_the_one_the_caller_knows(store: Store, clock: WallClock) -> None:
    known = int(clock.now * 1000) + 5_000_000
    assert (await claim(store, record(now=clock.now, epoch=known))).epoch == known + 1


async def test_a_suspended_session_is_resumed_within_the_window(store: Store, clock: WallClock) -> None:
    first = await claim(store, record(now=clock.now))
    await store.suspend_session("s1", first.epoch)
    clock.now += 59
    claimed = await store.claim_session(record(now=clock.now, pod="pod-b"), must_exist=True, resume_window=60)
    assert claimed is not None
    assert claimed.record.state is RecordState.ACTIVE
    assert claimed.record.suspended_at == 0.0
    assert claimed.previous == replace(first, state=RecordState.SUSPENDED, suspended_at=clock.now - 59)


async def test_a_session_suspended_for_too_long_ends_with_its_peers(store: Store, clock: WallClock) -> None:
    first = await claim(store, record(now=clock.now))
    await store.bind_peer("s1", "msrp://peer;tcp", HERE, expires_at=clock.now + 300)
    async with Listener(store) as listener:
        await store.suspend_session("s1", first.epoch)
        clock.now += 60
        assert await store.claim_session(record(now=clock.now), must_exist=False, resume_window=60) is None
        assert [await listener.next() for _ in range(2)] == [
            Change("s1", first.epoch, "pod-a"),
            Change("s1", first.epoch, ""),
        ]
    assert await found(store) is None
    assert await store.find_peer("s1", "msrp://peer;tcp") is None


async def test_without_a_window_no_suspended_session_is_resumed(store: Store, clock: WallClock) -> None:
    for back in (0, HOUR):
        first = await claim(store, record(now=clock.now))
        await store.suspend_session("s1", first.epoch)
        clock.now -= back
        assert await store.claim_session(record(now=clock.now), must_exist=True, resume_window=0) is None


@pytest.mark.parametrize(("dead_for", "is_resumed"), [(59.0, True), (60.0, False)])
async def test_a_session_of_a_dead_pod_counts_as_suspended(
    store: Store, clock: WallClock, dead_for: float, is_resumed: bool
) -> None:
    await claim(store, record(now=clock.now))
    claimed = await store.claim_session(
        record(now=clock.now, pod="pod-b"), must_exist=True, resume_window=60, dead_since=clock.now - dead_for
    )
    assert (claimed is not None) is is_resumed


async def test_a_pod_does_not_count_itself_as_dead(store: Store, clock: WallClock) -> None:
    await claim(store, record(now=clock.now))
    again = record(now=clock.now, connection=2)
    claimed = await store.claim_session(again, must_exist=True, resume_window=60, dead_since=clock.now - HOUR)
    assert claimed is not None


async def test_a_record_is_gone_a_margin_after_its_expiry(store: Store, clock: WallClock) -> None:
    await claim(store, record(now=clock.now, lifetime=300))
    clock.now += 300 + MARGIN - 1
    assert await found(store) is not None
    clock.now += 1
    assert await found(store) is None
    assert await store.claim_session(record(now=clock.now), must_exist=True, resume_window=60) is None


# What an outdated owner of a session may do


async def test_an_outdated_epoch_changes_nothing(store: Store, other: Store, clock: WallClock) -> None:
    old = await claim(store, record(now=clock.now))
    new = await claim(other, record(now=clock.now, pod="pod-b"))
    with pytest.raises(FencedError, match=f"has epoch {new.epoch}, not {old.epoch}"):
        await store.extend_session("s1", old.epoch, expires_at=clock.now + 900)
    with pytest.raises(FencedError, match=f"has epoch {new.epoch}, not {old.epoch}"):
        await store.suspend_session("s1", old.epoch)
    with pytest.raises(FencedError, match=f"has epoch {new.epoch}, not {old.epoch}"):
        await store.end_session("s1", old.epoch)
    assert await store.put_sessions([old]) == [new]
    assert await found(store) == new


async def test_what_is_gone_can_be_ended_but_not_extended(store: Store, clock: WallClock) -> None:
    first = await claim(store, record(now=clock.now))
    await store.end_session("s1", first.epoch)
    await store.end_session("s1", first.epoch)
    with pytest.raises(FencedError, match="s1 is gone"):
        await store.extend_session("s1", first.epoch, expires_at=clock.now + 900)
    with pytest.raises(FencedError, match="s1 is gone"):
        await store.suspend_session("s1", first.epoch)
    assert await found(store) is None


async def test_a_session_is_extended(store: Store, clock: WallClock) -> None:
    first = await claim(store, record(now=clock.now))
    await store.extend_session("s1", first.epoch, expires_at=clock.now + 900.125)
    assert await found(store) == replace(first, expires_at=clock.now + 900.125)


async def test_a_session_is_suspended_since_the_first_time(store: Store, clock: WallClock) -> None:
    first = await claim(store, record(now=clock.now))
    suspended = replace(first, state=RecordState.SUSPENDED, suspended_at=clock.now)
    await store.suspend_session("s1", first.epoch)
    clock.now += 30
    await store.suspend_session("s1", first.epoch)
    assert await found(store) == suspended


async def test_the_peers_of_a_session_end_with_it(store: Store, clock: WallClock) -> None:
    first = await claim(store, record(now=clock.now))
    await store.bind_peer("s1", "msrp://peer;tcp", HERE, expires_at=clock.now + 300)
    await store.end_session("s1", first.epoch)
    assert await store.find_peer("s1", "msrp://peer;tcp") is None


async def test_many_sessions_are_found_at_once(store: Store, clock: WallClock) -> None:
    claimed = [await claim(store, record(f"s{number}", now=clock.now)) for number in range(20)]
    assert await store.find_sessions([f"s{number}" for number in range(25)]) == {
        wanted.session_id: wanted for wanted in claimed
    }
    assert await store.find_sessions([]) == {}


# Sessions that are written again


async def test_a_pod_writes_its_sessions_again(store: Store, other: Store, clock: WallClock) -> None:
    records = [record(f"s{number}", now=clock.now, epoch=1000 + number) for number in range(600)]
    suspended = replace(records[7], state=RecordState.SUSPENDED, suspended_at=clock.now - 1)
    owners = [replace(ALICE, client_uri=f"msrp://host{number};tcp") for number in range(600)]
    records = [replace(known, owner=owner) for known, owner in zip(records, owners, strict=True)]
    records[7] = replace(suspended, owner=owners[7])
    assert await store.put_sessions(iter(records)) == []
    assert await other.find_sessions(["s0", "s7", "s599"]) == {f"s{number}": records[number] for number in (0, 7, 599)}
    assert await other.claim_owner(owners[599], "new", expires_at=clock.now + 300, most=1000) == "s599"


async def test_the_holder_may_write_over_what_he_wrote(store: Store, clock: WallClock) -> None:
    first = await claim(store, record(now=clock.now))
    later = replace(first, state=RecordState.SUSPENDED, suspended_at=clock.now, expires_at=first.expires_at + 60)
    assert await store.put_sessions([later]) == []
    assert await found(store) == later


async def test_a_session_claimed_meanwhile_is_returned_to_who_had_it(store: Store, clock: WallClock) -> None:
    mine = [record(f"s{number}", now=clock.now, epoch=1000) for number in range(3)]
    theirs = await claim(store, record("s1", now=clock.now, pod="pod-b"))
    assert await store.put_sessions(mine) == [theirs]
    assert (await store.find_sessions(["s0", "s1", "s2"])) == {"s0": mine[0], "s1": theirs, "s2": mine[2]}


async def test_an_owner_keeps_the_session_he_got_meanwhile(store: Store, clock: WallClock) -> None:
    await store.claim_owner(ALICE, "new", expires_at=clock.now + 300, most=1)
    await store.put_sessions([record("old", now=clock.now, epoch=1000)])
    assert await store.claim_owner(ALICE, "newest", expires_at=clock.now + 300, most=1) == "new"


async def test_an_older_claim_is_told_when_a_newer_one_is_written_again(store: Store, clock: WallClock) -> None:
    await store.put_sessions([record(now=clock.now, epoch=1000)])
    async with Listener(store) as listener:
        await store.put_sessions([record(now=clock.now, epoch=2000, pod="pod-b")])
        assert await listener.next() == Change("s1", 2000, "pod-b")


# Notices


async def test_changes_are_told_to_all(store: Store, other: Store, clock: WallClock) -> None:
    async with Listener(store) as mine, Listener(other) as theirs:
        first = await claim(store, record(now=clock.now))
        second = await claim(store, record(now=clock.now, connection=2))
        await store.suspend_session("s1", second.epoch)
        third = await claim(other, record(now=clock.now, pod="pod-b"))
        await other.end_session("s1", third.epoch)
        assert first.epoch < second.epoch
        expected = [
            Change("s1", second.epoch, "pod-a"),
            Change("s1", second.epoch, "pod-a"),
            Change("s1", third.epoch, "pod-b"),
            Change("s1", third.epoch, ""),
        ]
        assert [await mine.next() for _ in expected] == expected
        assert [await theirs.next() for _ in expected] == expected


async def test_a_refresh_over_the_same_connection_is_nobodys_business(store: Store, clock: WallClock) -> None:
    async with Listener(store) as listener:
        await claim(store, record(now=clock.now))
        refreshed = await claim(store, record(now=clock.now))
        await store.end_session("s1", refreshed.epoch)
        assert await listener.next() == Change("s1", refreshed.epoch, "")


async def test_changes_begin_with_a_gap(store: Store) -> None:
    async for notice in store.changes():
        assert notice == Gap()
        break


# Peers without a relay


async def test_a_peer_stays_with_his_first_connection(store: Store, other: Store, clock: WallClock) -> None:
    expires_at = clock.now + 300
    assert await store.bind_peer("s1", "msrp://peer;tcp", HERE, expires_at=expires_at) == HERE
    assert await other.bind_peer("s1", "msrp://peer;tcp", THERE, expires_at=expires_at) == HERE
    assert await other.find_peer("s1", "msrp://peer;tcp") == HERE
    assert await other.find_peer("s2", "msrp://peer;tcp") is None


async def test_a_binding_whose_connection_is_gone_is_taken_over_once(store: Store, clock: WallClock) -> None:
    expires_at, elsewhere = clock.now + 300, PeerBinding("pod-c", 1)
    await store.bind_peer("s1", "p", HERE, expires_at=expires_at)
    assert await store.bind_peer("s1", "p", THERE, expires_at=expires_at, replacing=HERE) == THERE
    assert await store.bind_peer("s1", "p", elsewhere, expires_at=expires_at, replacing=HERE) == THERE


async def test_a_session_has_a_bounded_number_of_peers(store: Store, clock: WallClock) -> None:
    for number in range(2):
        assert await store.bind_peer("s1", f"p{number}", HERE, expires_at=clock.now + number, most=2) == HERE
    assert await store.bind_peer("s1", "p2", HERE, expires_at=clock.now + 300, most=2) is None
    assert await store.bind_peer("s1", "p1", HERE, expires_at=clock.now + 300, most=2) == HERE
    clock.now += MARGIN
    assert await store.bind_peer("s1", "p2", HERE, expires_at=clock.now + 300, most=2) == HERE
    assert await store.find_peer("s1", "p0") is None


async def test_a_peer_is_unbound_from_no_connection_but_his(store: Store, clock: WallClock) -> None:
    await store.bind_peer("s1", "p", HERE, expires_at=clock.now + 300)
    await store.unbind_peer("s1", "p", THERE)
    assert await store.find_peer("s1", "p") == HERE
    await store.unbind_peer("s1", "p", HERE)
    assert await store.find_peer("s1", "p") is None


# Leases


async def test_a_lease_has_one_holder_at_a_time(store: Store, other: Store, clock: WallClock) -> None:
    leases = await asyncio.gather(
        *((store if n % 2 else other).acquire_lease("sweep", f"pod-{n}", seconds=10) for n in range(50))
    )
    assert len([lease for lease in leases if lease is not None]) == 1


async def test_a_lease_is_renewed_by_its_holder_with_the_same_token(store: Store, clock: WallClock) -> None:
    first = await store.acquire_lease("sweep", "pod-a", seconds=10)
    clock.now += 9
    assert await store.acquire_lease("sweep", "pod-a", seconds=10) == first
    clock.now += 9
    assert await store.acquire_lease("sweep", "pod-b", seconds=10) is None
    clock.now += 1
    assert await store.acquire_lease("sweep", "pod-b", seconds=10) is not None


async def test_tokens_grow_with_each_holder_while_the_clock_goes_back(store: Store, clock: WallClock) -> None:
    tokens = []
    for number in range(4):
        clock.now -= HOUR
        lease = await store.acquire_lease("sweep", f"pod-{number}", seconds=10)
        assert lease is not None
        tokens.append(lease.token)
        await store.release_lease(lease)
    assert tokens == sorted(set(tokens))


async def test_a_dead_holder_has_no_more_than_his_term_when_the_clock_is_set_back(
    store: Store, clock: WallClock
) -> None:
    await store.acquire_lease("sweep", "dead", seconds=10)
    clock.now -= HOUR
    assert await store.acquire_lease("sweep", "pod-b", seconds=10) is None
    clock.now += 10
    assert await store.acquire_lease("sweep", "pod-b", seconds=10) is not None


async def test_a_lease_is_given_back_only_with_its_token(store: Store, clock: WallClock) -> None:
    old = await store.acquire_lease("sweep", "pod-a", seconds=10)
    assert old is not None
    clock.now += 10
    new = await store.acquire_lease("sweep", "pod-a", seconds=10)
    assert new is not None
    assert new.token > old.token
    await store.release_lease(old)
    assert await store.acquire_lease("sweep", "pod-b", seconds=10) is None
    await store.release_lease(new)
    assert await store.acquire_lease("sweep", "pod-b", seconds=10) is not None
