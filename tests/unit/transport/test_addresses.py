"""Which addresses are closed to strangers, and how connections are counted by address."""

import pytest

from wigwag.transport.addresses import (
    closed_to_strangers,
    forbidden,
    interleave,
    leads_to_ourselves,
    network_of,
    parse_address,
)
from wigwag.transport.admission import Admission


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("::1", "loopback"),
        ("[::1]", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("64:ff9b::7f00:1", "loopback"),
        ("2002:7f00:1::", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("::ffff:0.0.0.0", "unspecified"),
        ("169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("10.0.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("::ffff:192.168.1.1", "private"),
        ("100.64.0.1", "private"),
        ("fd00::1", "private"),
        ("0.1.2.3", "private"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "private"),
        ("203.0.114.5", "our own"),
        ("::ffff:203.0.114.5", "our own"),
        ("2606:4700::5", "our own"),
        ("relay.test", "not a numeric address"),
        ("", "not a numeric address"),
        ("8.8.8.8", None),
        ("172.32.0.1", None),
        ("100.128.0.1", None),
        ("2606:4700::6", None),
    ],
)
def test_addresses_closed_to_strangers(address: str, reason: str | None) -> None:
    assert forbidden(address, ["203.0.114.5", "2606:4700:0::5", "not an address"]) == reason


def test_this_hosts_interfaces_lead_to_ourselves() -> None:
    assert leads_to_ourselves("127.0.0.1")
    assert leads_to_ourselves("::1")
    assert not leads_to_ourselves("203.0.113.1")
    assert not leads_to_ourselves("255.255.255.255")


def test_names_are_no_addresses() -> None:
    assert parse_address("relay.test") is None
    assert parse_address("1.2.3") is None
    assert str(parse_address("[2001:DB8::1]")) == "2001:db8::1"


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:0:1:aaaa::1", "2001:db8:0:1::"),
        ("2001:db8:0:1:bbbb::2", "2001:db8:0:1::"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::"),
        ("nonsense:", "nonsense:"),
    ],
)
def test_limits_count_by_ipv4_address_and_ipv6_network(address: str, network: str) -> None:
    assert network_of(address) == network


def test_admission_counts_and_forgets() -> None:
    admission = Admission(connections=3, per_address=2)
    assert [admission.admit(a) for a in ("192.0.2.1", "2001:db8::1", "2001:db8::2")] == [None] * 3
    assert admission.admit("192.0.2.9") == "too many connections"
    admission.release("192.0.2.1")
    assert admission.admit("2001:db8::3") == "too many connections from this address"
    assert admission.open_from("2001:db8::ffff") == 2
    admission.release("2001:db8::2")
    assert admission.admit("2001:db8::3") is None
    assert (admission.open, admission.refused_total, admission.refused_per_address) == (2, 1, 1)
    for address in ("2001:db8::3", "2001:db8::1"):
        admission.release(address)
    assert admission.open == 0
    assert admission._by_network == {}


def test_no_limit_is_no_limit() -> None:
    admission = Admission()
    assert all(admission.admit("192.0.2.1") is None for _ in range(10_000))


@pytest.mark.parametrize(
    ("address", "why"),
    [("127.0.0.1", "loopback"), ("10.0.0.1", "private"), ("203.0.114.5", "our own"), ("203.0.114.6", None)],
)
def test_strangers_may_not_send_us_inside_or_to_ourselves(address: str, why: str | None) -> None:
    assert closed_to_strangers(address, ["203.0.114.5"]) == why


def test_neither_family_is_tried_last_as_a_whole() -> None:
    assert interleave(["6a", "6b", "6c"], ["4a"]) == ["6a", "4a", "6b", "6c"]
    assert interleave([], ["4a", "4b"]) == ["4a", "4b"]
