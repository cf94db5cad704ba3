"""TCP profiles: rows read strictly, matched in OpenSIPS's order, applied to live sockets."""

import itertools
import random
import socket

import pytest

from tests.support.streams import Endpoints, Recorder
from wigwag.transport.listener import ListenerOptions
from wigwag.transport.profiles import (
    ProfileTable,
    TcpProfile,
    apply_changes,
    apply_to_socket,
    plan_changes,
)

REMOTE, LOCAL = ("192.0.2.10", 40_000), ("198.51.100.1", 2855)


def matched(*rows: dict[str, object], protocol: str = "tcp") -> int | None:
    profile = ProfileTable(rows).match(protocol, REMOTE, LOCAL)
    return None if profile is None else profile.id


def test_a_row_with_only_an_id_has_the_columns_defaults_and_matches_everything() -> None:
    table = ProfileTable([{"id": 1, "proto": "any", "remote_addr": None, "local_addr": None, "attrs": None}])
    assert table.invalid == []
    assert table.profiles == [
        TcpProfile(
            id=1, connect_timeout=100, con_lifetime=120, msg_read_timeout=4, send_threshold=0, no_new_conn=False,
            alias_mode=0, parallel_read=0, keepalive=True, keepcount=9, keepidle=7200, keepinterval=75,
        )
    ]  # fmt: skip
    for protocol in ("tcp", "tls", "ws", "wss", "msrp", "msrps"):
        assert table.match(protocol, ("2001:db8::1", 1), ("::1", 2)) is table.profiles[0]


def test_an_empty_table_matches_nothing() -> None:
    assert matched() is None


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"proto": "tcp"}, True),
        ({"proto": "MSRP "}, True),
        ({"proto": "tls"}, False),
        ({"proto": "msrps"}, False),
        ({"proto": "ws"}, False),
        ({"remote_addr": "192.0.2.10"}, True),
        ({"remote_addr": "192.0.2.0/24"}, True),
        ({"remote_addr": "192.0.2.77/24"}, True),
        ({"remote_addr": ""}, True),
        ({"remote_addr": "192.0.2.11"}, False),
        ({"remote_addr": "::/0"}, False),
        ({"remote_port": 40_000}, True),
        ({"remote_port": 40_001}, False),
        ({"local_addr": "198.51.100.1"}, True),
        ({"local_addr": "198.51.100.0/30"}, True),
        ({"local_addr": "198.51.100.2"}, False),
        ({"local_port": 2855}, True),
        ({"local_port": 2856}, False),
    ],
)
def test_every_condition_has_to_hold(condition: dict[str, object], expected: bool) -> None:
    assert matched({"id": 1, **condition}) == (1 if expected else None)


ORDER: list[dict[str, object]] = [
    {"priority": -1, "remote_addr": "0.0.0.0/0"},
    {"proto": "tcp", "remote_addr": "192.0.2.10", "remote_port": 40_000},
    {"proto": "tcp", "remote_addr": "192.0.2.10"},
    {"proto": "tcp", "remote_addr": "192.0.2.0/24", "remote_port": 40_000},
    {"proto": "tcp", "remote_addr": "192.0.2.0/24", "local_addr": "198.51.100.1", "local_port": 2855},
    {"proto": "tcp", "remote_addr": "192.0.2.0/24", "local_addr": "198.51.100.1"},
    {"proto": "tcp", "remote_addr": "192.0.2.0/24", "local_addr": "198.51.100.0/24"},
    {"proto": "tcp", "remote_addr": "192.0.2.0/24", "local_port": 2855},
    {"proto": "tcp", "remote_addr": "192.0.2.0/24"},
    {"proto": "tcp", "remote_port": 40_000},
    {"proto": "tcp"},
    {"remote_addr": "192.0.2.10"},
    {},
    {"priority": 1, "proto": "tcp", "remote_addr": "192.0.2.10"},
]
"""From the row tried first to the one tried last."""


def test_rows_are_tried_in_the_documented_order_however_they_are_stored() -> None:
    rows = [{"id": index, **row} for index, row in enumerate(ORDER)]
    shuffled = random.Random(7).sample(rows, len(rows))
    assert [profile.id for profile in ProfileTable(shuffled).profiles] == list(range(len(rows)))
    for first, second in itertools.combinations(rows, 2):
        assert matched(second, first) == first["id"]


def test_of_equal_rows_the_lower_id_decides() -> None:
    assert matched({"id": 9}, {"id": 3}) == 3


@pytest.mark.parametrize(
    ("row", "defect"),
    [
        ({"proto": "udp"}, "proto is none of any, msrp, tcp, msrps, tls, ws, wss: 'udp'"),
        ({"proto": "sctp"}, "proto is none of"),
        ({"remote_addr": "300.1.1.1"}, "remote_addr is no address and no network: '300.1.1.1'"),
        ({"local_addr": "host.test"}, "local_addr is no address and no network"),
        ({"remote_port": 70_000}, "remote_port is not between 0 and 65535: 70000"),
        ({"connect_timeout": 0}, "connect_timeout is not between 1 and"),
        ({"con_lifetime": -1}, "con_lifetime is not between"),
        ({"msg_read_timeout": "4"}, "msg_read_timeout is no whole number: '4'"),
        ({"keepcount": 128}, "keepcount is not between 0 and 127"),
        ({"keepalive": 2}, "keepalive is not between 0 and 1"),
        ({"alias_mode": 3}, "alias_mode is not between 0 and 2"),
        ({"id": None}, "id is no whole number: None"),
    ],
)
def test_an_invalid_row_is_reported_and_never_used(row: dict[str, object], defect: str) -> None:
    table = ProfileTable([{"id": 5, **row}, {"id": 6, "priority": 9}])
    assert [profile.id for profile in table.profiles] == [6]
    assert len(table.invalid) == 1
    assert table.invalid[0].startswith(f"row {row.get('id', 5)}: ")
    assert defect in table.invalid[0]


def test_every_defect_of_a_row_is_told() -> None:
    table = ProfileTable([{"id": 5, "proto": "udp", "remote_addr": "x", "keepidle": -1}])
    assert table.invalid[0].count(";") == 2


def test_columns_without_meaning_are_accepted() -> None:
    row = {"id": 1, "parallel_read": 2, "alias_mode": 1, "attrs": "max_msg_chunks=8"}
    (profile,) = ProfileTable([row]).profiles
    assert (profile.parallel_read, profile.alias_mode, profile.attrs) == (2, 1, "max_msg_chunks=8")


def test_keep_alive_options_are_set_on_the_socket() -> None:
    profile = ProfileTable([{"id": 1, "keepcount": 3, "keepidle": 20, "keepinterval": 0}]).profiles[0]
    with socket.socket() as sock:
        before = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
        assert apply_to_socket(sock, profile) == ["SO_KEEPALIVE=1", "TCP_KEEPCNT=3", "TCP_KEEPIDLE=20"]
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == before
        off = ProfileTable([{"id": 1, "keepalive": 0}]).profiles[0]
        assert apply_to_socket(sock, off) == ["SO_KEEPALIVE=0"]


async def test_a_reload_is_planned_without_changing_anything_and_then_applied_to_live_sockets(
    endpoints: Endpoints,
) -> None:
    old = ProfileTable([{"id": 1, "keepidle": 100, "send_threshold": 0}])
    listener = await endpoints.listen(ListenerOptions(name="l", kind="tcp"), profiles=lambda: old)
    await endpoints.client(listener)
    channel = (await endpoints.receiver()).channel
    assert channel.profile is old.profiles[0]
    assert _keep_idle(channel) == 100

    new = ProfileTable([{"id": 2, "local_addr": "127.0.0.1", "keepidle": 200, "send_threshold": 7, "no_new_conn": 1}])
    planned = plan_changes(new, listener.channels.values())
    assert [(change.channel_id, change.before, change.after) for change in planned] == [(channel.id, 1, 2)]
    assert planned[0].changes == (("send_threshold", 0, 7), ("keepidle", 100, 200))
    assert channel.profile is old.profiles[0]
    assert _keep_idle(channel) == 100

    assert apply_changes(new, listener.channels.values()) == planned
    assert channel.profile is new.profiles[0]
    assert _keep_idle(channel) == 200
    assert plan_changes(new, listener.channels.values()) == []


async def test_a_reload_without_a_matching_row_brings_our_defaults_back(endpoints: Endpoints) -> None:
    old = ProfileTable([{"id": 1, "keepidle": 100}])
    listener = await endpoints.listen(ListenerOptions(name="l", kind="tcp"), profiles=lambda: old)
    await endpoints.client(listener)
    channel = (await endpoints.receiver()).channel
    (change,) = apply_changes(ProfileTable(), listener.channels.values())
    assert (change.before, change.after) == (1, None)
    assert channel.profile is None
    assert _keep_idle(channel) == 120


async def test_connections_that_no_row_concerns_are_left_out_of_the_plan(endpoints: Endpoints) -> None:
    listener = await endpoints.listen(ListenerOptions(name="l", kind="tcp"), Recorder)
    await endpoints.client(listener)
    await endpoints.receiver()
    assert plan_changes(ProfileTable([{"id": 1, "proto": "tls"}]), listener.channels.values()) == []


def _keep_idle(channel: object) -> int:
    sock = channel.transport_info("socket")  # type: ignore[attr-defined]
    return int(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE))
