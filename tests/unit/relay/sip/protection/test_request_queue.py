"""New requests under overload: who waits, who is served, who is let go; and what an edge with such a queue achieves."""

from typing import Any, cast

import pytest

from tests.support.busy_edge import SLOWNESS, BusyEdge
from wigwag.relay.sip.config import SipOverloadSettings
from wigwag.relay.sip.protection.request_queue import MOST_OCTETS, REFUSED_PER_SERVED, Datagram, Fate, RequestQueue

TARGET = SipOverloadSettings().target_delay
KERNELS = [pytest.param(6000 // SLOWNESS, id="4 MiB"), pytest.param(330 // SLOWNESS, id="the kernel's default")]


def datagram(name: str, since: float = 0.0, size: int = 0) -> Datagram:
    nowhere = cast("Any", None)
    return Datagram(name.encode() + bytes(size), ("192.0.2.1", 5060), nowhere, nowhere, since)


def taken(queue: RequestQueue, now: float) -> list[tuple[str, Fate]]:
    """Take all that wait."""
    found = []
    while (one := queue.take(now)) is not None:
        found.append((one[0].data.decode(), one[1]))
    return found


def test_below_its_capacity_an_edge_lets_nobody_wait() -> None:
    edge = BusyEdge(RequestQueue(TARGET), 6000 // SLOWNESS, repeating=True)
    edge.run(0.9, until=2)
    assert edge.calm_since == 0.0
    assert edge.goodput(1, 2) == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("room", KERNELS)
def test_at_twice_its_capacity_an_edge_serves_most_of_it_in_time_and_it_is_over_at_once(room: int) -> None:
    edge = BusyEdge(RequestQueue(TARGET), room, repeating=False)
    edge.run(2.0, until=4)
    assert edge.goodput(1, 4) >= 0.87
    assert max(latency for at, latency in edge.answered if at - latency >= 1) <= TARGET + 0.02
    edge.run(0.3, until=6)
    assert edge.calm_since < 4 + 1.5
    assert edge.goodput(5, 6) == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("room", KERNELS)
def test_what_clients_repeat_costs_an_edge_little_and_is_over_soon_after(room: int) -> None:
    edge = BusyEdge(RequestQueue(TARGET), room, repeating=True)
    edge.run(2.0, until=2)
    lost = edge.responses_lost
    edge.run(2.0, until=4)
    assert edge.goodput(2, 4) >= 0.7
    assert edge.responses_lost == lost
    edge.run(0.1, until=9)
    assert edge.calm_since < 4 + 5


@pytest.mark.parametrize("room", KERNELS)
def test_ten_times_its_capacity_does_not_stop_an_edge(room: int) -> None:
    edge = BusyEdge(RequestQueue(TARGET), room, repeating=False)
    edge.run(10.0, until=2)
    assert edge.goodput(1, 2) >= 0.4


def test_one_pause_of_the_process_lets_nobody_wait() -> None:
    queue = RequestQueue(TARGET)
    queue.look(0.0, 0.0, 0.0)
    queue.look(3.0, 1.0, 3.0)
    assert not queue.is_open
    queue.look(0.0, 0.0, 3.05)
    assert not queue.is_open


@pytest.mark.parametrize(("delay", "fullness"), [(TARGET, 0.0), (0.0, 0.9)], ids=["late", "full"])
def test_it_opens_while_the_kernel_holds_much_and_closes_when_nobody_waits(delay: float, fullness: float) -> None:
    queue = RequestQueue(TARGET)
    for now in (0.0, 0.05):
        queue.look(delay, fullness, now)
    assert queue.is_open
    queue.put(datagram("one", 0.05), favoured=False)
    queue.look(0.0, 0.0, 0.05 + TARGET)
    assert queue.is_open
    assert taken(queue, 0.05 + TARGET) == [("one", Fate.SERVED)]
    queue.look(0.0, 0.0, 0.1 + TARGET)
    assert not queue.is_open


def test_nobody_is_served_after_more_than_the_target() -> None:
    queue = RequestQueue(TARGET)
    for name, since in (("old", 0.0), ("just", 1.0), ("new", 1.1)):
        queue.put(datagram(name, since), favoured=False)
    assert taken(queue, 0.999 + TARGET) == [("old", Fate.REFUSED), ("just", Fate.SERVED), ("new", Fate.SERVED)]
    assert queue.take(9.0) is None


def test_refusals_are_a_part_of_what_is_served_however_many_are_let_go() -> None:
    queue = RequestQueue(TARGET)
    for _ in range(100):
        queue.put(datagram("old"), favoured=False)
    assert [fate for _, fate in taken(queue, 1.0)].count(Fate.REFUSED) <= 20
    fates = []
    for _ in range(1000):
        for since in (0.0, 0.0, 0.0, 1.0):
            queue.put(datagram("any", since), favoured=False)
        fates += [fate for _, fate in taken(queue, 1.0)]
    assert fates.count(Fate.SERVED) == 1000
    assert fates.count(Fate.REFUSED) == pytest.approx(1000 * REFUSED_PER_SERVED, abs=2)


def test_who_is_favoured_goes_first_but_stops_nobody() -> None:
    queue = RequestQueue(TARGET)
    for index in range(8):
        queue.put(datagram("other", index), favoured=False)
        queue.put(datagram("favoured", index), favoured=True)
    names = [name for name, _ in taken(queue, 0.0)]
    assert names[:8].count("favoured") == 6
    assert names.count("other") == 8


def test_whatever_their_number_they_take_no_more_than_so_much_memory() -> None:
    queue = RequestQueue(TARGET)
    size = MOST_OCTETS // 4
    assert [queue.put(datagram("", size=size), favoured=False) for _ in range(5)] == [True] * 4 + [False]
    assert queue.overflows == 1
    assert queue.take(0.0) is not None
    assert queue.put(datagram("", size=size), favoured=False)


def test_the_share_is_what_was_turned_away_of_late() -> None:
    queue = RequestQueue(TARGET)
    for look in range(100):
        now = look * 0.05
        for since in (now - 1.0, now):
            queue.put(datagram("any", since), favoured=False)
        taken(queue, now)
        queue.look(0.0, 0.0, now)
    assert queue.share == pytest.approx(0.5, abs=0.01)
    for look in range(100, 130):
        queue.look(0.0, 0.0, look * 0.05)
    assert queue.share == 0.0
