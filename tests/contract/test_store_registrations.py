"""What every store has to do about SIP bindings and nonces: in the process, on Redis, with TLS, on a Redis Cluster."""

import asyncio
from dataclasses import replace

import pytest

from tests.support.stores import FLOW, Listener, WallClock, binding
from wigwag.store import (
    MARGIN,
    Binding,
    Flow,
    OutdatedError,
    Registration,
    RegistrationChanged,
    Store,
    TooManyBindingsError,
)
from wigwag.store.registration_rules import REMEMBERED

AOR = "sip:alice@example.com"
PHONE, TABLET, LAPTOP = "sip:alice@phone", "sip:alice@tablet", "sip:alice@laptop"
ELSEWHERE = Flow(pod="pod-b", listener="sip-tls", connection=9, transport="tls", remote="[2001:db8::1]:40000")
HOUR = 3600.0


async def register(store: Store, *bindings: Binding, cseq: int = 1, most: int = 10) -> Registration:
    """Register with the Call-ID that bindings have."""
    return await store.register(AOR, call_id="c1@phone", cseq=cseq, bindings=bindings, most=most)


async def unregister(store: Store, *keys: str, cseq: int, call_id: str = "c1@phone") -> Registration:
    """Remove bindings as their client would."""
    return await store.register(AOR, call_id=call_id, cseq=cseq, removed=keys, most=10)


async def found(store: Store, aor: str = AOR) -> tuple[Binding, ...]:
    """Return the bindings in force."""
    registration = (await store.find_registrations([aor])).get(aor)
    return registration.bindings if registration is not None else ()


async def keys(store: Store) -> list[str]:
    """Return the keys of the bindings in force."""
    return [known.key for known in await found(store)]


# Registering


async def test_a_binding_is_kept_as_it_was_registered(store: Store, other: Store, clock: WallClock) -> None:
    wanted = binding(now=clock.now)
    registration = await register(store, wanted, cseq=7)
    assert registration.version == int(clock.now * 1000)
    written = replace(wanted, cseq=7, updated_at=registration.version / 1000)
    assert registration == Registration(AOR, (written,), registration.version)
    assert await other.find_registrations([AOR]) == {AOR: registration}


async def test_call_id_and_cseq_are_those_of_the_request(store: Store, clock: WallClock) -> None:
    registration = await register(store, binding(now=clock.now, call_id="another", cseq=99), cseq=3)
    assert [(known.call_id, known.cseq) for known in registration.bindings] == [("c1@phone", 3)]


async def test_several_devices_are_registered_side_by_side(store: Store, other: Store, clock: WallClock) -> None:
    await register(store, binding(PHONE, now=clock.now))
    registration = await other.register(
        AOR,
        call_id="c2@tablet",
        cseq=1,
        bindings=[binding(TABLET, now=clock.now, q=500), binding(LAPTOP, now=clock.now)],
        most=10,
    )
    assert [known.key for known in registration.bindings] == [PHONE, TABLET, LAPTOP]
    assert await found(store) == registration.bindings


async def test_a_refresh_extends_the_binding(store: Store, clock: WallClock) -> None:
    first = await register(store, binding(now=clock.now, lifetime=60))
    clock.now += 50
    second = await register(store, binding(now=clock.now, lifetime=60), cseq=2)
    assert [known.expires_at for known in second.bindings] == [clock.now + 60]
    assert second.version > first.version
    clock.now += 50
    assert await found(store) == second.bindings


async def test_a_device_that_comes_back_with_another_call_id_and_flow_replaces_its_binding(
    store: Store, other: Store, clock: WallClock
) -> None:
    await register(store, binding("<urn:uuid:1>;1", now=clock.now), cseq=20)
    wanted = replace(binding("<urn:uuid:1>;1", now=clock.now, flow=ELSEWHERE), contact="sip:alice@new-address")
    registration = await other.register(AOR, call_id="new", cseq=1, bindings=[wanted], most=1)
    assert registration.bindings == (replace(wanted, call_id="new", cseq=1, updated_at=registration.version / 1000),)
    assert await found(store) == registration.bindings


async def test_a_binding_without_a_flow_and_with_odd_octets_comes_back_unharmed(store: Store, clock: WallClock) -> None:
    odd = replace(
        binding("\udcff\x00{}@k", now=clock.now, flow=None),
        contact="sip:\udce9@é",
        params="",
        instance="",
        reg_id=0,
        path=(),
        user_agent="💬" * 300,
        push="\udc80",
        expires_at=clock.now + 0.1 + 0.2,
    )
    aor = "sip:{al*ice?}[x]\\\udce9@exämple.com"
    registration = await store.register(aor, call_id="\udcfe", cseq=2**31 - 1, bindings=[odd], most=1)
    written = replace(odd, call_id="\udcfe", cseq=2**31 - 1, updated_at=registration.version / 1000)
    assert await found(store, aor) == (written,)
    assert [known.aor async for known in store.registrations()] == [aor]


@pytest.mark.parametrize("cseq", [4, 5])
async def test_a_request_that_is_not_newer_changes_nothing(store: Store, clock: WallClock, cseq: int) -> None:
    before = await register(store, binding(PHONE, now=clock.now), cseq=5)
    clock.now += 1
    with pytest.raises(OutdatedError, match=f"{PHONE} of {AOR} has CSeq 5 already, {cseq} came"):
        await register(store, binding(TABLET, now=clock.now), binding(PHONE, now=clock.now, q=1), cseq=cseq)
    with pytest.raises(OutdatedError):
        await unregister(store, TABLET, PHONE, cseq=cseq)
    with pytest.raises(OutdatedError):
        await store.register(AOR, call_id="c1@phone", cseq=cseq, remove_all=True, most=10)
    assert await store.find_registrations([AOR]) == {AOR: before}


async def test_a_request_that_is_older_is_refused_even_when_it_says_the_same(store: Store, clock: WallClock) -> None:
    await register(store, binding(now=clock.now), cseq=5)
    with pytest.raises(OutdatedError):
        await register(store, binding(now=clock.now), cseq=4)


async def test_a_client_whose_answer_was_lost_may_ask_again(store: Store, other: Store, clock: WallClock) -> None:
    phones = [binding(PHONE, now=clock.now), binding(TABLET, now=clock.now)]
    first = await register(store, *phones, cseq=5)
    clock.now += 4
    again = [replace(known, expires_at=known.expires_at + 4) for known in phones]
    async with Listener(store) as listener:
        assert await register(other, *again, cseq=5) == first
        moved = await register(other, *(replace(known, flow=ELSEWHERE) for known in again), cseq=5)
        assert await listener.next() == RegistrationChanged(AOR, moved.version)
    assert [known.flow for known in await found(store)] == [ELSEWHERE, ELSEWHERE]


async def test_a_request_for_nothing_shows_what_is_there(store: Store, clock: WallClock) -> None:
    assert await register(store) == Registration(AOR, (), 0)
    first = await register(store, binding(now=clock.now), cseq=5)
    assert await register(store, cseq=5) == first


async def test_fifty_devices_at_once_are_all_registered(store: Store, other: Store, clock: WallClock) -> None:
    registrations = await asyncio.gather(
        *(
            (store if number % 2 else other).register(
                AOR, call_id=f"c{number}", cseq=1, bindings=[binding(f"k{number}", now=clock.now)], most=50
            )
            for number in range(50)
        )
    )
    assert len({registration.version for registration in registrations}) == 50
    assert len(await found(store)) == 50


async def test_of_two_that_race_with_one_call_id_the_higher_cseq_is_in_force(
    store: Store, other: Store, clock: WallClock
) -> None:
    await asyncio.gather(
        *(
            register(store if cseq % 2 else other, binding(now=clock.now, q=cseq), cseq=cseq)
            for cseq in (9, 3, 8, 1, 10, 2, 7)
        ),
        return_exceptions=True,
    )
    assert [(known.cseq, known.q) for known in await found(store)] == [(10, 10)]


async def test_versions_grow_while_the_clock_goes_back(store: Store, clock: WallClock) -> None:
    first = await register(store, binding(now=clock.now))
    clock.now -= HOUR
    second = await register(store, binding(now=clock.now), cseq=2)
    assert second.version == first.version + 1
    assert second.bindings[0].updated_at > first.bindings[0].updated_at


# How many


async def test_an_aor_has_no_more_bindings_than_it_may_have(store: Store, clock: WallClock) -> None:
    before = await register(store, binding(PHONE, now=clock.now), binding(TABLET, now=clock.now), most=2)
    with pytest.raises(TooManyBindingsError, match=f"{AOR} has 2 of 2 bindings"):
        await register(store, binding(LAPTOP, now=clock.now), cseq=2, most=2)
    with pytest.raises(TooManyBindingsError):
        await register(store, binding(LAPTOP, now=clock.now), binding(PHONE, now=clock.now), cseq=2, most=2)
    assert await store.find_registrations([AOR]) == {AOR: before}


async def test_one_may_be_exchanged_for_another_and_refreshed_when_there_are_too_many(
    store: Store, clock: WallClock
) -> None:
    await register(store, binding(PHONE, now=clock.now), binding(TABLET, now=clock.now), most=2)
    await register(store, binding(PHONE, now=clock.now), cseq=2, most=1)
    registration = await store.register(
        AOR, call_id="c1@phone", cseq=3, bindings=[binding(LAPTOP, now=clock.now)], removed=[PHONE], most=1
    )
    assert [known.key for known in registration.bindings] == [TABLET, LAPTOP]


async def test_a_binding_that_has_expired_makes_room(store: Store, clock: WallClock) -> None:
    await register(store, binding(PHONE, now=clock.now, lifetime=30))
    clock.now += 30
    assert len((await register(store, binding(TABLET, now=clock.now), cseq=2, most=1)).bindings) == 1


# Expiry and removal


async def test_a_binding_is_gone_when_it_expires(store: Store, clock: WallClock) -> None:
    await register(store, binding(PHONE, now=clock.now, lifetime=30), binding(TABLET, now=clock.now, lifetime=31))
    clock.now += 29.5
    assert await keys(store) == [PHONE, TABLET]
    clock.now += 0.5
    assert await keys(store) == [TABLET]
    clock.now += 1
    assert await store.find_registrations([AOR]) == {}
    assert [known async for known in store.registrations()] == []
    assert await store.remove_bindings(AOR) is None


async def test_the_cseq_of_a_binding_that_has_expired_does_not_count(store: Store, clock: WallClock) -> None:
    await register(store, binding(now=clock.now, lifetime=30), cseq=9)
    clock.now += 30
    await register(store, binding(now=clock.now), cseq=1)
    assert len(await found(store)) == 1


async def test_what_has_expired_when_it_comes_is_a_removal(store: Store, clock: WallClock) -> None:
    await register(store, binding(PHONE, now=clock.now), binding(TABLET, now=clock.now))
    await register(store, binding(PHONE, now=clock.now, lifetime=0), cseq=2)
    assert await keys(store) == [TABLET]


async def test_a_client_removes_its_binding_and_may_say_so_twice(store: Store, other: Store, clock: WallClock) -> None:
    await register(store, binding(PHONE, now=clock.now), binding(TABLET, now=clock.now))
    assert [known.key for known in (await unregister(other, PHONE, cseq=2)).bindings] == [TABLET]
    assert [known.key for known in (await unregister(other, PHONE, cseq=2)).bindings] == [TABLET]


async def test_one_request_may_remove_and_add(store: Store, clock: WallClock) -> None:
    await register(store, binding(PHONE, now=clock.now), binding(TABLET, now=clock.now))
    registration = await store.register(
        AOR,
        call_id="c1@phone",
        cseq=2,
        bindings=[binding(LAPTOP, now=clock.now), binding(TABLET, now=clock.now, q=1)],
        removed=[PHONE, TABLET],
        most=2,
    )
    assert [(known.key, known.q) for known in registration.bindings] == [(TABLET, 1), (LAPTOP, 1000)]


async def test_all_are_removed_with_those_of_other_call_ids(store: Store, clock: WallClock) -> None:
    await register(store, binding(PHONE, now=clock.now))
    await store.register(AOR, call_id="c2", cseq=50, bindings=[binding(TABLET, now=clock.now)], most=10)
    registration = await store.register(AOR, call_id="c1@phone", cseq=2, remove_all=True, most=10)
    assert registration.bindings == ()
    assert await store.find_registrations([AOR]) == {}


async def test_operators_remove_bindings_whatever_their_cseq(store: Store, other: Store, clock: WallClock) -> None:
    await register(store, binding(PHONE, now=clock.now), binding(TABLET, now=clock.now), cseq=2**31 - 1)
    left = await other.remove_bindings(AOR, [PHONE, PHONE, "unknown"])
    assert left is not None
    assert [known.key for known in left.bindings] == [TABLET]
    assert await other.remove_bindings(AOR) == Registration(AOR, (), left.version + 1)
    assert await found(store) == ()


# Flows


async def test_a_lost_flow_is_forgotten_and_the_binding_stays(store: Store, other: Store, clock: WallClock) -> None:
    [before] = (await register(store, binding(PHONE, now=clock.now))).bindings
    assert await store.drop_flow(AOR, PHONE, FLOW, remove=False)
    [after] = await found(other)
    assert after == replace(before, flow=None, updated_at=after.updated_at)
    assert after.updated_at > before.updated_at
    assert not await store.drop_flow(AOR, PHONE, FLOW, remove=False)


async def test_a_lost_flow_takes_its_outbound_binding_with_it(store: Store, clock: WallClock) -> None:
    await register(store, binding(PHONE, now=clock.now), binding(TABLET, now=clock.now))
    assert await store.drop_flow(AOR, PHONE, FLOW, remove=True)
    assert await keys(store) == [TABLET]


@pytest.mark.parametrize("remove", [False, True])
async def test_a_flow_that_was_replaced_meanwhile_stays(
    store: Store, other: Store, clock: WallClock, remove: bool
) -> None:
    await register(store, binding(PHONE, now=clock.now))
    registration = await register(other, binding(PHONE, now=clock.now, flow=ELSEWHERE), cseq=2)
    assert not await store.drop_flow(AOR, PHONE, FLOW, remove=remove)
    assert not await store.drop_flow(AOR, TABLET, ELSEWHERE, remove=remove)
    assert not await store.drop_flow(AOR, PHONE, replace(ELSEWHERE, connection=10), remove=remove)
    assert await found(store) == registration.bindings


# Written again


async def test_a_pod_writes_its_bindings_again(store: Store, other: Store, clock: WallClock) -> None:
    mine = [
        (f"sip:user{number}@example.com", binding(f"k{number}", now=clock.now, updated_at=clock.now - 1))
        for number in range(600)
    ]
    mine.append((mine[0][0], binding("second", now=clock.now, updated_at=clock.now - 1)))
    assert await store.put_registrations(iter(mine)) == []
    assert await found(other, mine[0][0]) == (mine[0][1], mine[600][1])
    assert await found(other, mine[599][0]) == (mine[599][1],)
    before = await other.find_registrations([mine[1][0]])
    assert await store.put_registrations(mine[:2]) == []
    assert await other.find_registrations([mine[1][0]]) == before


async def test_nothing_newer_is_written_over(store: Store, other: Store, clock: WallClock) -> None:
    [mine] = (await register(store, binding(now=clock.now))).bindings
    clock.now += 10
    theirs = await other.register(
        AOR, call_id="another", cseq=1, bindings=[binding(now=clock.now, flow=ELSEWHERE)], most=1
    )
    assert await store.put_registrations([(AOR, mine)]) == [(AOR, mine)]
    assert await found(store) == theirs.bindings
    older = replace(theirs.bindings[0], cseq=0, updated_at=clock.now + HOUR)
    assert await store.put_registrations([(AOR, older)]) == [(AOR, older)]
    newer = replace(theirs.bindings[0], cseq=2, updated_at=0.0)
    assert await store.put_registrations([(AOR, newer)]) == []
    shorter = replace(newer, expires_at=newer.expires_at - 1)
    assert await store.put_registrations([(AOR, shorter)]) == [(AOR, shorter)]
    moved = replace(newer, flow=FLOW)
    assert await store.put_registrations([(AOR, moved)]) == []
    assert await found(store) == (moved,)


async def test_who_wrote_a_binding_is_known_and_is_nobodys_business(
    store: Store, other: Store, clock: WallClock
) -> None:
    await register(store, binding(now=clock.now, writer="pod-a"))
    async with Listener(other) as listener:
        clock.now += 30
        [refreshed] = (await register(store, binding(now=clock.now, writer="pod-b"), cseq=2)).bindings
        assert (refreshed.writer, [known.writer for known in await found(other)]) == ("pod-b", ["pod-b"])
        # The same request, once more, at another pod.
        [same] = (await register(other, binding(now=clock.now, writer="pod-c"), cseq=2)).bindings
        assert same.writer == "pod-b"
        await other.put_registrations([(AOR, replace(refreshed, writer="pod-c"))])
        assert [known.writer for known in await found(store)] == ["pod-c"]
        await store.drop_flow(AOR, refreshed.key, FLOW, remove=False)
        assert [(known.writer, known.flow) for known in await found(store)] == [("pod-c", None)]
        dropped = (await store.find_registrations([AOR]))[AOR].version
        assert await listener.next() == RegistrationChanged(AOR, dropped)


async def test_the_version_after_writing_again_is_above_what_was_known(store: Store, clock: WallClock) -> None:
    ahead = binding(now=clock.now, updated_at=(int(clock.now * 1000) + 5000) / 1000)
    await store.put_registrations([(AOR, ahead)])
    registration = (await store.find_registrations([AOR]))[AOR]
    assert registration.version / 1000 > ahead.updated_at


async def test_what_has_expired_is_not_written_again(store: Store, clock: WallClock) -> None:
    assert await store.put_registrations([(AOR, binding(now=clock.now, lifetime=0))]) == []
    assert await found(store) == ()


@pytest.mark.parametrize("was_known", [True, False])
async def test_what_a_client_removed_meanwhile_is_not_brought_back(
    store: Store, other: Store, clock: WallClock, was_known: bool
) -> None:
    mine = binding(now=clock.now, cseq=4, updated_at=clock.now)
    if was_known:
        await store.put_registrations([(AOR, mine)])
    clock.now += 1
    await unregister(other, mine.key, cseq=5)
    assert await store.put_registrations([(AOR, mine)]) == [(AOR, mine)]
    assert await found(store) == ()


@pytest.mark.parametrize("was_known", [True, False])
@pytest.mark.parametrize("by_operator", [True, False])
async def test_after_all_were_removed_none_is_brought_back(
    store: Store, other: Store, clock: WallClock, was_known: bool, by_operator: bool
) -> None:
    mine = [(AOR, binding(key, now=clock.now, updated_at=clock.now)) for key in (PHONE, TABLET)]
    if was_known:
        await store.put_registrations(mine)
    clock.now += 1
    if by_operator:
        await other.remove_bindings(AOR)
    else:
        await other.register(AOR, call_id="another", cseq=1, remove_all=True, most=10)
    assert await store.put_registrations(mine) == mine
    later = binding(LAPTOP, now=clock.now, updated_at=clock.now + 1)
    assert await store.put_registrations([(AOR, later)]) == []
    assert await keys(store) == [LAPTOP]


async def test_what_an_operator_removed_is_not_brought_back(store: Store, other: Store, clock: WallClock) -> None:
    mine = [(AOR, binding(key, now=clock.now, updated_at=clock.now)) for key in (PHONE, TABLET)]
    await store.put_registrations(mine)
    clock.now += 1
    await other.remove_bindings(AOR, [PHONE])
    assert await store.put_registrations(mine) == mine[:1]
    assert await store.drop_flow(AOR, TABLET, FLOW, remove=False)
    later = (AOR, binding(LAPTOP, now=clock.now, updated_at=clock.now + 1))
    assert await store.put_registrations([later, mine[0]]) == mine[:1]
    assert await keys(store) == [TABLET, LAPTOP]


async def test_a_removal_of_what_was_not_there_is_remembered_for_some_minutes(store: Store, clock: WallClock) -> None:
    mine = binding(now=clock.now, updated_at=clock.now)
    await unregister(store, mine.key, cseq=2)
    clock.now += REMEMBERED - 0.5
    assert await store.put_registrations([(AOR, mine)]) == [(AOR, mine)]
    clock.now += 0.5
    assert await store.put_registrations([(AOR, mine)]) == []


async def test_a_removal_is_remembered_for_as_long_as_the_binding_could_come_back(
    store: Store, clock: WallClock
) -> None:
    [mine] = (await register(store, binding(now=clock.now, lifetime=HOUR))).bindings
    await unregister(store, mine.key, cseq=2)
    clock.now += HOUR - 1
    assert await store.put_registrations([(AOR, mine)]) == [(AOR, mine)]


async def test_a_binding_registered_after_a_removal_may_be_written_again(store: Store, clock: WallClock) -> None:
    await store.register(AOR, call_id="c1@phone", cseq=9, remove_all=True, most=10)
    [mine] = (await register(store, binding(now=clock.now), cseq=1)).bindings
    longer = replace(mine, expires_at=mine.expires_at + 1)
    assert await store.put_registrations([(AOR, longer)]) == []
    assert await found(store) == (longer,)


# Lists


async def test_all_registrations_are_listed_once(store: Store, other: Store, clock: WallClock) -> None:
    aors = {f"sip:user{number}@example.com" for number in range(700)}
    await store.put_registrations((aor, binding(now=clock.now)) for aor in aors)
    await store.register("sip:gone@example.com", call_id="c", cseq=1, removed=["k"], most=1)
    listed = [registration async for registration in other.registrations()]
    assert len(listed) == 700
    assert {registration.aor for registration in listed} == aors
    assert {len(registration.bindings) for registration in listed} == {1}


async def test_a_list_may_be_of_those_that_begin_so(store: Store, clock: WallClock) -> None:
    aors = ["sip:a*b@example.com", "sip:a%2A@example.com", "sip:aXb@example.com", "sip:é[a]@example.com"]
    await store.put_registrations((aor, binding(now=clock.now)) for aor in aors)

    async def listed(prefix: str) -> list[str]:
        return sorted([registration.aor async for registration in store.registrations(prefix=prefix)])

    assert await listed("") == sorted(aors)
    assert await listed("sip:a") == sorted(aors[:3])
    for aor in aors:
        assert await listed(aor[:-1]) == [aor]
        assert await listed(aor[:6]) == [aor]
    assert await listed("sip:a?") == []


async def test_many_are_found_at_once(store: Store, clock: WallClock) -> None:
    aors = [f"sip:user{number}@example.com" for number in range(20)]
    await store.put_registrations((aor, binding(aor, now=clock.now)) for aor in aors)
    registrations = await store.find_registrations([*aors, "sip:nobody@example.com"])
    assert {aor: known.bindings[0].contact for aor, known in registrations.items()} == {aor: aor for aor in aors}
    assert await store.find_registrations([]) == {}


# Notices


async def test_others_are_told_when_requests_go_another_way(store: Store, other: Store, clock: WallClock) -> None:
    async with Listener(store) as mine, Listener(other) as theirs:
        registrations = [
            await register(store, binding(PHONE, now=clock.now)),
            await register(store, binding(PHONE, now=clock.now, flow=ELSEWHERE), cseq=2),
            await register(store, binding(PHONE, now=clock.now, flow=ELSEWHERE, q=1), cseq=3),
            await register(store, binding(TABLET, now=clock.now), cseq=4),
            await unregister(store, TABLET, cseq=5),
        ]
        await store.drop_flow(AOR, PHONE, ELSEWHERE, remove=False)
        versions = [registration.version for registration in registrations]
        versions.append(versions[-1] + 1)
        left = await store.remove_bindings(AOR)
        assert left is not None
        versions.append(left.version)
        await store.put_registrations([(AOR, binding(now=clock.now, updated_at=clock.now + 1))])
        versions.append((await store.find_registrations([AOR]))[AOR].version)
        expected = [RegistrationChanged(AOR, version) for version in versions]
        assert [await mine.next() for _ in expected] == expected
        assert [await theirs.next() for _ in expected] == expected


async def test_a_refresh_is_nobodys_business(store: Store, clock: WallClock) -> None:
    await register(store, binding(PHONE, now=clock.now))
    async with Listener(store) as listener:
        clock.now += 30
        [refreshed] = (await register(store, binding(PHONE, now=clock.now), cseq=2)).bindings
        await unregister(store, TABLET, cseq=2)
        await store.put_registrations([(AOR, refreshed)])
        last = await unregister(store, PHONE, cseq=3)
        assert await listener.next() == RegistrationChanged(AOR, last.version)


# Nonces


async def test_a_count_is_taken_once_by_all_pods(store: Store, other: Store, clock: WallClock) -> None:
    taken = await asyncio.gather(
        *((store if n % 2 else other).use_nonce("nonce", n % 20 + 1, expires_at=clock.now + 300) for n in range(100))
    )
    assert taken.count(True) == 20


async def test_counts_overtake_each_other_within_a_window_of_32(store: Store, clock: WallClock) -> None:
    async def taken(*counts: int) -> list[bool]:
        return [await store.use_nonce("nonce", count, expires_at=clock.now + 300) for count in counts]

    assert await taken(40, 9, 8, 40, 9) == [True, True, False, False, False]
    assert await taken(0xFFFFFFFF, 0xFFFFFFE0, 0xFFFFFFDF, 41) == [True, True, False, False]
    assert await taken(0, -1, 0x100000000) == [False, False, False]
    for count in (1, 2, 34, 33, 3):
        assert await store.use_nonce("another", count, expires_at=clock.now + 300)


async def test_a_count_may_be_used_again_by_its_user_while_it_is_in_the_window(
    store: Store, other: Store, clock: WallClock
) -> None:
    async def taken(nc: int, user: str, where: Store = store) -> bool:
        return await where.use_nonce("nonce", nc, expires_at=clock.now + 300, user=user)

    assert await taken(1, "a1")
    assert await taken(11, "b2")
    assert [await taken(1, "a1", other), await taken(11, "b2"), await taken(1, "a1")] == [True, True, True]
    assert [await taken(1, "b2"), await taken(1, ""), await taken(11, "a1"), await taken(1, "a")] == [False] * 4
    assert await taken(2, "")
    assert not await taken(2, "")
    assert await taken(33, "c3")
    assert not await taken(1, "a1")
    assert await taken(11, "b2")


async def test_a_nonce_is_remembered_a_margin_beyond_its_expiry_and_not_taken_afterwards(
    store: Store, clock: WallClock
) -> None:
    expires_at = clock.now + 300
    assert await store.use_nonce("nonce", 1, expires_at=expires_at)
    clock.now = expires_at + MARGIN - 1
    assert not await store.use_nonce("nonce", 1, expires_at=expires_at)
    assert await store.use_nonce("nonce", 2, expires_at=expires_at)
    clock.now += 1
    assert not await store.use_nonce("nonce", 3, expires_at=expires_at)
