"""Deadlines of SIP connections, and what may come in before the edge is there, by a clock turned by hand."""

from typing import cast

import pytest

from tests.support.sip_edge import EdgeUnderTest, SipClient
from wigwag.relay.sip.edge import Edge
from wigwag.relay.sip.flows.listening import Door, SipListeners
from wigwag.transport.admission import Admission
from wigwag.transport.profiles import ProfileTable

LIMITS = {"header_timeout": 10.0, "first_message_timeout": 30.0, "idle_timeout": 900.0}


class Watched:
    """An edge whose connections are looked at."""

    def __init__(self) -> None:
        self.under_test = EdgeUnderTest({"limits": LIMITS})
        self.listeners = SipListeners(
            self.under_test.settings.sip,
            admission=Admission(),
            profiles=ProfileTable,
            reuse_port=False,
            edge=lambda: self.under_test.edge,
        )

    def client(self) -> SipClient:
        return SipClient(self.under_test, "alice", kind="tcp")

    def pass_time(self, seconds: float) -> None:
        """Look once a second."""
        for _ in range(int(seconds)):
            self.under_test.runtime.time += 1.0
            self.listeners.tick(self.under_test.runtime.time)


def is_open(client: SipClient) -> bool:
    return not client.connection.closed


def feed(client: SipClient, data: bytes) -> None:
    assert client.flow is not None
    client.flow.data_received(data)


def test_a_connection_that_says_nothing_is_closed() -> None:
    watched = Watched()
    client = watched.client()
    watched.pass_time(30)
    assert is_open(client)
    watched.pass_time(1)
    assert client.connection.closed == "no message came"


@pytest.mark.parametrize(
    "part", [b"O", b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 5\r\n", None], ids=["one", "head", "body"]
)
def test_a_message_that_takes_too_long_ends_its_connection(part: bytes | None) -> None:
    watched = Watched()
    client = watched.client()
    client.send(client.request("OPTIONS", "sip:edge.example.com"))
    watched.pass_time(1)
    whole = bytes(client.request("OPTIONS", "sip:edge.example.com", body=b"12345"))
    feed(client, part if part is not None else whole[:-1])
    watched.pass_time(10)
    assert is_open(client)
    watched.pass_time(2)
    assert client.connection.closed == "a message takes too long"


def test_one_byte_a_second_buys_no_more_time() -> None:
    watched = Watched()
    client = watched.client()
    for byte in bytes(client.request("OPTIONS", "sip:edge.example.com"))[:12]:
        feed(client, bytes([byte]))
        watched.pass_time(1)
    assert client.connection.closed == "a message takes too long"


def test_who_is_not_read_by_us_has_all_the_time() -> None:
    watched = Watched()
    client = watched.client()
    client.send(client.request("OPTIONS", "sip:edge.example.com"))
    feed(client, b"OPT")
    assert client.flow is not None
    client.flow.pause_sending()
    watched.pass_time(60)
    assert not client.connection.closed


async def test_an_idle_connection_is_closed_unless_a_binding_uses_it() -> None:
    watched = Watched()
    idle, registered = watched.client(), watched.client()
    idle.send(idle.request("OPTIONS", "sip:edge.example.com"))
    assert (await registered.register(expires=3600)).status == 200
    watched.pass_time(901)
    assert idle.connection.closed == "idle"
    assert not registered.connection.closed


def test_ten_thousand_connections_have_their_turn_within_seconds() -> None:
    watched = Watched()
    clients = [watched.client() for _ in range(10_000)]
    watched.pass_time(31 + 10_000 // 256 + 1)
    assert all(client.connection.closed for client in clients)


def test_nobody_is_let_in_before_the_edge_is_there() -> None:
    door = Door(Admission(connections=1), lambda: cast("Edge", None))
    assert door.admit("203.0.113.1") == "not ready yet"


def test_the_limits_of_all_listeners_hold_behind_the_rate_of_an_address() -> None:
    shared, under_test = Admission(connections=1), EdgeUnderTest()
    door = Door(shared, lambda: under_test.edge)
    door.is_open = True
    assert door.admit("203.0.113.1") is None
    assert door.admit("203.0.113.2") == "too many connections"
    door.release("203.0.113.1")
    assert shared.open == 0
