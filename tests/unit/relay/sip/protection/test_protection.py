"""Rates of addresses and users, and bans, by a clock turned by hand."""

from typing import Any

import pytest

from wigwag.errors import NotFoundError
from wigwag.protocols.sip import SipError
from wigwag.relay.sip.config import SipProtectionSettings
from wigwag.relay.sip.protection.bans import MOST_BANS, Bans
from wigwag.relay.sip.protection.meters import BURST_SECONDS, Meter, Recent
from wigwag.relay.sip.protection.protection import Protection

HOST = "203.0.113.5"
NEIGHBOUR = "198.51.100.7"


class World:
    """A clock, and protection that goes by it."""

    def __init__(self, **settings: Any) -> None:
        self.now = 1000.0
        self.lines: list[str] = []
        self.shut_out: list[str] = []
        self.protection = Protection(
            SipProtectionSettings(**settings),
            (f"{NEIGHBOUR}/32",),
            now=lambda: self.now,
            wall=lambda: self.now + 1_700_000_000,
            log=lambda event, **fields: self.lines.append(f"{event} {fields}"),
        )
        self.protection.shut_out = self.shut_out.append

    def admitted(self, count: int, host: str = HOST) -> int:
        """How many of so many datagrams are let in."""
        return sum(self.protection.admits(host) for _ in range(count))


def test_a_burst_passes_and_then_the_rate_holds() -> None:
    world = World(messages_per_address=10)
    assert world.admitted(100) == 10 * BURST_SECONDS
    total = 0
    for _ in range(100):
        world.now += 0.1
        total += world.admitted(50)
    assert total == pytest.approx(100, abs=1)
    assert world.protection.datagrams_dropped == 80 + 100 * 50 - total


def test_one_flooding_address_takes_nothing_from_another() -> None:
    world = World(messages_per_address=10)
    world.admitted(1000)
    assert world.admitted(10, "203.0.113.6") == 10


def test_an_ipv6_network_is_one_source_and_a_neighbour_none() -> None:
    world = World(messages_per_address=10)
    assert sum(world.admitted(1, f"2001:db8::{n:x}") for n in range(100)) == 20
    assert world.admitted(1, "2001:db8:0:1::1") == 1
    assert world.admitted(1000, NEIGHBOUR) == 1000


def test_no_rate_is_no_limit_also_after_a_ban() -> None:
    world = World(messages_per_address=0, failures=1, ban_time=10)
    assert world.admitted(10_000) == 10_000
    world.protection.failed(HOST)
    assert world.admitted(10) == 0
    world.now += 11
    assert world.admitted(1000) == 1000


def test_a_stream_over_its_rate_is_not_read_for_as_long_as_it_was_over() -> None:
    world = World(messages_per_address=10)
    assert world.protection.pause(HOST, 20) == 0.0
    assert world.protection.pause(HOST, 5) == pytest.approx(0.5)
    world.now += 0.5
    assert world.protection.pause(HOST, 1) == pytest.approx(0.1)


def test_new_connections_have_a_rate_of_their_own() -> None:
    world = World(connections_per_address=5)
    refused = [world.protection.refuses_connection(HOST) for _ in range(12)]
    assert refused.count(None) == 10
    assert refused[-1] == "too many new connections from this address"


def test_wrong_passwords_get_an_address_banned_until_the_time_is_over() -> None:
    world = World(failures=5, ban_time=300)
    for _ in range(5):
        assert world.admitted(1) == 1
        world.protection.failed(HOST)
    assert world.admitted(10) == 0
    assert world.protection.refuses_connection(HOST) == "banned"
    assert world.shut_out == [HOST]
    assert world.protection.banned_dropped == 10
    (ban,) = world.protection.bans.views()
    assert (ban.address, ban.reason, ban.until - ban.since) == (HOST, "too many wrong passwords", 300)
    world.now += 300
    assert world.admitted(10) == 10
    assert world.protection.bans.views() == []


def test_an_operator_lifts_a_ban() -> None:
    world = World(failures=1)
    world.protection.failed("2001:db8::7")
    assert not world.protection.admits("2001:db8::8")
    world.protection.lift("2001:db8::9")
    world.now += 1
    assert world.protection.admits("2001:db8::7")
    with pytest.raises(NotFoundError, match=r"2001:db8::9 is not banned"):
        world.protection.lift("2001:db8::9")


def test_failures_far_apart_and_right_passwords_ban_nobody() -> None:
    world = World(failures=5, failure_window=60)
    for _ in range(50):
        world.protection.failed(HOST)
        world.now += 15
    for _ in range(50):
        world.protection.failed(HOST)
        world.protection.proven(HOST, "sip:alice@example.com", "OPTIONS")
    assert world.admitted(1) == 1


def test_requests_without_credentials_over_a_connection_ban_at_last() -> None:
    world = World(failures=5)
    for _ in range(49):
        world.protection.challenged(HOST)
    assert world.admitted(1) == 1
    world.protection.challenged(HOST)
    assert world.admitted(1) == 0


def test_a_neighbour_is_never_banned_and_no_ban_time_bans_nobody() -> None:
    world = World(failures=1)
    world.protection.failed(NEIGHBOUR)
    assert world.admitted(1, NEIGHBOUR) == 1
    lenient = World(failures=1, ban_time=0)
    lenient.protection.failed(HOST)
    assert lenient.admitted(1) == 1


def test_a_ban_outlives_the_memory_of_its_address() -> None:
    world = World(failures=1, addresses=10)
    world.protection.failed(HOST)
    for number in range(1000):
        world.protection.admits(f"10.0.{number // 250}.{number % 250}")
    assert not world.protection.admits(HOST)


def test_a_user_over_his_rate_is_told_when_to_come_again() -> None:
    world = World(messages_per_user=5, invites_per_user=1)
    for _ in range(10):
        world.protection.proven(HOST, "sip:alice@example.com", "MESSAGE")
    with pytest.raises(SipError) as caught:
        world.protection.proven(HOST, "sip:alice@example.com", "MESSAGE")
    assert caught.value.status == 503
    assert dict(caught.value.headers)["Retry-After"] == "2"
    world.protection.proven(HOST, "sip:bob@example.com", "MESSAGE")
    world.protection.proven(HOST, "sip:alice@example.com", "INVITE")
    world.now += 1
    world.protection.proven(HOST, "sip:alice@example.com", "MESSAGE")


def test_memory_of_sources_has_a_bound_and_forgets_the_idle_ones() -> None:
    recent: Recent[Meter] = Recent(lambda name: Meter(1, 0.0), 100)
    busy = recent.get("busy")
    for number in range(100_000):
        recent.get(str(number))
        assert recent.get("busy") is busy
    assert len(recent) <= 200


def test_there_are_never_more_bans_than_the_bound() -> None:
    bans = Bans(lambda: 0.0, lambda: 0.0)
    for number in range(MOST_BANS + 10):
        bans.impose(str(number), "x", 60)
    assert len(bans) == MOST_BANS
    assert not bans.holds("0")
