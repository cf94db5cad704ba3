"""Rows M68 to M80 at the relay: sessions, URIs, connections (RFC 4975 section 6.1, RFC 4976 section 6.3)."""

import pytest

from tests.support.relay import FakeClient, RelayUnderTest, body_of, ok_to, send, session_views, value_of
from tests.support.relay_pair import PEER, kinds, octets_of, pair, settings, statuses
from wigwag.relay.views import ListenerAddress


async def test_m68_an_unknown_session_is_481_and_a_known_one_on_another_connection_506() -> None:
    ends = await pair()
    stranger = ends.under_test.connect()
    stranger.receive(send(f"msrps://relay.test:2855/nobody;tcp {ends.client.uri}", PEER))
    assert kinds(stranger.taken()) == ["481"]
    stranger.receive(ends.frame())
    assert kinds(stranger.taken()) == ["506"]
    stranger.receive(send(ends.to_peer, ends.client.uri))
    assert kinds(stranger.taken()) == ["481"], "only the client's own connection speaks for the client"
    assert ends.delivered() == []
    assert ends.peer.taken() == []
    assert kinds(ends.peer_sends()) == ["200"]


async def test_m68_a_bound_peer_may_come_back_on_a_new_connection_once_the_first_is_lost() -> None:
    ends = await pair()
    ends.peer.lose()
    again = ends.under_test.connect()
    again.receive(ends.frame())
    assert kinds(again.taken()) == ["200"]
    ends.client.channel.receive(send(ends.to_peer, ends.client.uri))
    assert kinds(again.taken()) == ["SEND"]


async def test_m68_many_peers_that_came_and_went_leave_room_for_another() -> None:
    ends = await pair()
    for index in range(300):
        peer = ends.under_test.connect()
        peer.receive(send(ends.to_client, f"msrp://peer{index}.invalid:7/p;tcp"))
        assert kinds(peer.taken()) == ["200"], index
        peer.lose()


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda uri: uri.replace("msrps://", "MSRPS://"), "200"),
        (lambda uri: uri.replace("relay.test", "RELAY.Test"), "200"),
        (lambda uri: uri.replace("relay.test", "someone@relay.test"), "200"),
        (lambda uri: uri.replace("relay.test", "rel%61y.test"), "200"),
        (lambda uri: uri.replace(";tcp", ";TCP"), "200"),
        (lambda uri: f"{uri};extra=1", "200"),
        (lambda uri: uri[:30] + uri[30:].swapcase().replace(";TCP", ";tcp"), "481"),
        (lambda uri: uri.replace(":2855", ""), "481"),
        (lambda uri: uri.replace(":2855", ":2856"), "481"),
        (lambda uri: uri.replace(";tcp", ";ws"), "481"),
        (lambda uri: uri.replace("msrps://", "msrp://"), "481"),
    ],
)
async def test_m69_uris_are_compared_as_section_6_1_says(change: object, status: str) -> None:
    assert callable(change)
    ends = await pair()
    ends.peer.receive(send(f"{change(ends.client.use_path)} {ends.client.uri}", PEER))
    assert kinds(ends.peer.taken()) == [status]
    assert kinds(ends.delivered()) == (["SEND"] if status == "200" else [])


async def test_m69_the_clients_own_uri_is_compared_the_same_way() -> None:
    ends = await pair()
    ends.peer.receive(send(f"{ends.client.use_path} MSRPS://me@CLIENT.invalid:9/a;TCP", PEER))
    assert kinds(ends.peer.taken()) == ["200"]
    assert value_of(ends.delivered()[0], "To-Path") == "MSRPS://me@CLIENT.invalid:9/a;TCP"
    ends.peer.receive(send(f"{ends.client.use_path} msrps://client.invalid:9/A;tcp", PEER))
    assert kinds(ends.peer.taken()) == ["481"]


@pytest.mark.parametrize("host", ["[::1]", "[0:0:0:0:0:0:0:1]", "[0::0001]", "[::1%25eth0]"])
async def test_m70_ipv6_addresses_are_compared_as_addresses(host: str) -> None:
    under_test = RelayUnderTest()
    under_test.relay.listeners["main"] = ListenerAddress("main", "tls", "::1", 2855, 2855, "relay.test", False)
    client = FakeClient(under_test, under_test.connect(local=("::1", 2855)), "alice", "msrps://[2001:db8::1]:9/a;tcp")
    challenge = await client.auth(to_path="msrps://[::1]:2855;tcp")
    authorization = client.authorization(challenge, to_path="msrps://[::1]:2855;tcp")
    use_path = value_of(await client.auth(authorization, to_path="msrps://[::1]:2855;tcp"), "Use-Path") or ""
    assert use_path.startswith("msrps://[::1]:2855/")
    peer = under_test.connect(remote=("2001:db8::2", 5))
    peer.receive(send(f"{use_path.replace('[::1]', host)} msrps://[2001:db8:0::1]:9/a;tcp", "msrp://[::2]:7/p;tcp"))
    assert kinds(peer.taken()) == ["200"]
    assert octets_of(client.channel.taken()) == b"hello"


@pytest.mark.parametrize("session_id", ["a+b=c/d~e.f_g-h", "/", "==", "a" * 200])
async def test_m71_session_ids_may_hold_any_character_of_the_grammar(session_id: str) -> None:
    under_test = RelayUnderTest()
    client = await under_test.client("alice", f"msrps://client.invalid:9/{session_id};tcp")
    peer_uri = f"msrp://peer.invalid:7/{session_id};tcp;one;two=2"
    peer = under_test.connect()
    peer.receive(send(f"{client.use_path} {client.uri};three=3", peer_uri))
    assert kinds(peer.taken()) == ["200"]
    [forwarded] = client.channel.taken()
    assert value_of(forwarded, "To-Path") == f"{client.uri};three=3"
    assert value_of(forwarded, "From-Path") == f"{client.use_path} {peer_uri}"
    client.channel.receive(send(f"{client.use_path} {peer_uri.split(';one')[0]}", client.uri))
    assert kinds(peer.taken()) == ["SEND"]


async def test_m75_two_sessions_share_a_connection_and_one_ends() -> None:
    under_test = RelayUnderTest()
    channel = under_test.connect()
    clients = [FakeClient(under_test, channel, "alice", f"msrps://client.invalid:9/{name};tcp") for name in "ab"]
    peers = []
    for index, client in enumerate(clients):
        await client.authenticate()
        peers.append(under_test.connect())
        peers[-1].receive(send(f"{client.use_path} {client.uri}", f"msrp://peer.invalid:7/{index};tcp"))
        peers[-1].taken()
    channel.taken()
    under_test.relay.end_session(session_views(under_test.relay)[0].id)
    for index, (client, peer) in enumerate(zip(clients, peers, strict=True)):
        peer.receive(send(f"{client.use_path} {client.uri}", f"msrp://peer.invalid:7/{index};tcp"))
    assert [kinds(peer.taken()) for peer in peers] == [["481"], ["200"]]
    assert value_of(channel.taken()[0], "To-Path") == clients[1].uri
    assert channel.is_open


async def test_m76_a_connection_without_a_successful_request_in_30_seconds_is_closed() -> None:
    under_test = RelayUnderTest()
    idle, refused, trickling = (under_test.connect() for _ in range(3))
    trickling.receive(send("msrps://relay.test:2855/nobody;tcp msrp://x.invalid:1/x;tcp", PEER, b"x" * 99_999)[:300])
    for _ in range(29):
        refused.receive(send("msrps://relay.test:2855/nobody;tcp msrp://x.invalid:1/x;tcp", PEER))
        trickling.receive(b"x" * 200)
        under_test.advance(1)
    assert idle.is_open
    assert refused.is_open
    under_test.advance(2)
    assert [idle.is_open, refused.is_open, trickling.is_open] == [False, False, False]


async def test_m79_a_peer_that_stops_reading_costs_bounded_memory_and_holds_up_its_sender_only() -> None:
    ends = await pair()
    others = [await ends.under_test.client("bob", f"msrps://bob.invalid:9/{index};tcp") for index in range(100)]
    senders = [ends.under_test.connect() for _ in others]
    ends.client.channel.full_above = 65_536
    data = ends.frame(b"x" * 50_000_000, byte_range="1-50000000/50000000")
    position = 0
    while ends.peer.reading and position < len(data):
        ends.peer.receive(data[position : position + 65_536])
        position += 65_536
    assert position < 500_000, "the sender was stopped"
    assert sum(map(len, ends.client.channel.frames)) < 300_000
    for index, (other, sender) in enumerate(zip(others, senders, strict=True)):
        sender.receive(send(f"{other.use_path} {other.uri}", f"msrp://peer{index}.invalid:7/p;tcp"))
        assert kinds(sender.taken()) == ["200"]
        assert kinds(other.channel.taken()) == ["SEND"]


async def test_m79_reports_that_nobody_reads_cost_bounded_memory() -> None:
    ends = await pair()
    ends.client.channel.full_above = 65_536
    report = f"To-Path: {ends.to_client}\r\nFrom-Path: {PEER}\r\nMessage-ID: m001\r\nStatus: 000 200 {'x' * 8000}\r\n"
    frames = b"".join(f"MSRP r{index:04} REPORT\r\n{report}-------r{index:04}$\r\n".encode() for index in range(10))
    for _ in range(200):
        if not ends.peer.reading:
            break
        ends.peer.receive(frames)
    assert ends.client.channel.unsent() < 1_000_000
    assert not ends.peer.reading
    while ends.client.channel.unsent():
        ends.client.channel.drain()
    assert ends.peer.reading


async def test_m79_responses_that_nobody_reads_stop_the_reading_of_requests() -> None:
    ends = await pair()
    ends.peer.full_above = 65_536
    for _ in range(200):
        if ends.peer.reading:
            ends.peer.receive(ends.frame(b"x") * 100)
            ends.client.channel.receive(b"".join(map(ok_to, ends.delivered())))
    assert not ends.peer.reading
    assert ends.peer.unsent() < 1_000_000
    ends.peer.drain()
    assert ends.peer.reading


async def test_m80_a_request_whose_sender_closes_right_after_it_is_forwarded() -> None:
    ends = await pair()
    ends.peer.receive(ends.frame())
    ends.peer.lose()
    assert kinds(ends.peer.taken()) == ["200"]
    [forwarded] = ends.delivered()
    assert body_of(forwarded) == b"hello"
    ends.client_answers(forwarded, "413 No")
    ends.under_test.advance(35)
    assert ends.client.channel.is_open


async def test_m80_a_connection_lost_twice_is_lost_once() -> None:
    ends = await pair()
    ends.peer_sends()
    for _ in range(2):
        ends.client.channel.lose()
    assert statuses(ends.peer.taken()) == ["408"]
    assert ends.under_test.relay.counters["connections_closed"] == 1


async def test_an_idle_connection_without_a_session_is_closed_and_one_with_a_session_is_not() -> None:
    ends = await pair(settings(limits={"idle_timeout": 100}))
    await ends.client.authenticate("Expires: 3600\r\n")
    bystander = ends.under_test.connect()
    gone = await ends.under_test.client("bob", "msrps://bob.invalid:9/b;tcp")
    bystander.receive(send(f"{gone.use_path} {gone.uri}", "msrp://bystander.invalid:7/p;tcp"))
    bystander.taken()
    ends.under_test.relay.end_session(session_views(ends.under_test.relay)[1].id)
    ends.under_test.advance(99)
    assert bystander.is_open
    ends.under_test.advance(3)
    assert not bystander.is_open
    assert not gone.channel.is_open
    assert ends.client.channel.is_open
    assert ends.peer.is_open


async def test_a_receiver_that_takes_nothing_for_two_minutes_is_disconnected_and_its_senders_told() -> None:
    ends = await pair()
    ends.client.channel.full_above = 0
    ends.peer_sends()
    ends.under_test.advance(118)
    assert ends.client.channel.is_open
    ends.under_test.advance(4)
    assert not ends.client.channel.is_open
    assert statuses(ends.peer.taken()) == ["408"]
