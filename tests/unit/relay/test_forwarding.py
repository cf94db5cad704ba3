"""The relay forwards as RFC 4976 sections 6.4.1 to 6.4.3 say."""

import pytest

from tests.support.relay import RELAY_URI, FakeClient, RelayUnderTest, body_of, ok_to, send, value_of
from wigwag.relay.config import RelaySettings

PEER = "msrp://peer.invalid:7/p;tcp"


async def test_auth_gives_a_use_path_with_an_explicit_port() -> None:
    client = await RelayUnderTest().client()
    assert client.use_path.startswith("msrps://relay.test:2855/")


async def test_send_is_answered_at_once_and_forwarded_with_its_paths_moved() -> None:
    under_test = RelayUnderTest()
    client = await under_test.client()
    peer = under_test.connect()
    peer.receive(send(f"{client.use_path} {client.uri}", PEER))
    assert [frame[:17] for frame in peer.taken()] == [b"MSRP t001 200 OK\r"]
    [forwarded] = client.channel.taken()
    assert value_of(forwarded, "To-Path") == client.uri
    assert value_of(forwarded, "From-Path") == f"{client.use_path} {PEER}"
    assert body_of(forwarded) == b"hello"
    assert forwarded.split(b" ")[1] != b"t001"


async def test_second_message_takes_the_fast_path_with_the_same_result() -> None:
    under_test = RelayUnderTest()
    client = await under_test.client()
    peer = under_test.connect()
    for transaction_id in ("t001", "t002", "t003"):
        peer.receive(send(f"{client.use_path} {client.uri}", PEER, transaction_id=transaction_id))
    frames = [frame.replace(frame.split(b" ")[1], b"ID") for frame in client.channel.taken()]
    assert frames[0] == frames[1] == frames[2]
    assert [frame.split(b" ")[1] for frame in peer.taken()] == [b"t001", b"t002", b"t003"]


async def test_success_report_travels_back_to_the_origin() -> None:
    under_test = RelayUnderTest()
    client = await under_test.client()
    peer = under_test.connect()
    peer.receive(send(f"{client.use_path} {client.uri}", PEER, fields="Success-Report: yes\r\n"))
    [forwarded] = client.channel.taken()
    client.channel.receive(ok_to(forwarded))
    peer.taken()
    client.channel.receive(
        f"MSRP r001 REPORT\r\nTo-Path: {client.use_path} {PEER}\r\nFrom-Path: {client.uri}\r\nMessage-ID: m001\r\n"
        f"Byte-Range: 1-5/5\r\nStatus: 000 200 OK\r\n-------r001$\r\n".encode()
    )
    [report] = peer.taken()
    assert value_of(report, "To-Path") == PEER
    assert value_of(report, "Status") == "000 200 OK"
    assert client.channel.taken() == []


@pytest.mark.parametrize(("failure_report", "reports"), [("yes", 1), ("partial", 0), ("no", 0)])
async def test_silence_of_the_next_hop_is_reported_only_when_asked(failure_report: str, reports: int) -> None:
    under_test = RelayUnderTest()
    client = await under_test.client()
    peer = under_test.connect()
    peer.receive(send(f"{client.use_path} {client.uri}", PEER, fields=f"Failure-Report: {failure_report}\r\n"))
    answers = peer.taken()
    assert len(answers) == (1 if failure_report == "yes" else 0)
    under_test.advance(29)
    assert peer.taken() == []
    under_test.advance(3)
    frames = peer.taken()
    assert len(frames) == reports
    if reports:
        assert value_of(frames[0], "Status") == "000 408 no response from the next hop"
        assert value_of(frames[0], "Byte-Range") == "1-5/5"
        assert value_of(frames[0], "Message-ID") == "m001"


@pytest.mark.parametrize(("failure_report", "reports"), [("yes", 1), ("partial", 1), ("no", 0)])
async def test_refusal_of_the_next_hop_becomes_a_report(failure_report: str, reports: int) -> None:
    under_test = RelayUnderTest()
    client = await under_test.client()
    peer = under_test.connect()
    peer.receive(send(f"{client.use_path} {client.uri}", PEER, fields=f"Failure-Report: {failure_report}\r\n"))
    peer.taken()
    [forwarded] = client.channel.taken()
    client.channel.receive(ok_to(forwarded, "413 Too big"))
    frames = peer.taken()
    assert [value_of(frame, "Status") for frame in frames] == ["000 413 Too big"] * reports


async def test_large_chunk_leaves_as_sub_chunks_that_add_up() -> None:
    under_test = RelayUnderTest()
    client = await under_test.client()
    peer = under_test.connect()
    body = bytes(range(256)) * 1024
    data = send(f"{client.use_path} {client.uri}", PEER, body, byte_range=f"1-*/{len(body)}")
    for start in range(0, len(data), 50_000):
        peer.receive(data[start : start + 50_000])
    frames = client.channel.taken()
    assert b"".join(map(body_of, frames)) == body
    assert [value_of(frame, "Byte-Range") for frame in frames] == [
        "1-65536/262144", "65537-131072/262144", "131073-196608/262144", "196609-262144/262144"
    ]  # fmt: skip
    assert [frame[-3:-2] for frame in frames] == [b"+", b"+", b"+", b"$"]
    assert len(peer.taken()) == 1


async def test_both_clients_of_one_relay_reach_each_other() -> None:
    under_test = RelayUnderTest()
    alice = await under_test.client("alice", "msrps://alice.invalid:1/a;tcp")
    bob = await under_test.client("bob", "msrps://bob.invalid:2/b;tcp")
    alice.channel.receive(send(f"{alice.use_path} {bob.use_path} {bob.uri}", alice.uri))
    [forwarded] = bob.channel.taken()
    assert value_of(forwarded, "To-Path") == bob.uri
    assert value_of(forwarded, "From-Path") == f"{bob.use_path} {alice.use_path} {alice.uri}"
    bob.channel.receive(send(f"{bob.use_path} {alice.use_path} {alice.uri}", bob.uri))
    assert body_of(alice.channel.taken()[-1]) == b"hello"


async def test_a_path_that_comes_back_to_the_same_session_ends_with_an_error() -> None:
    under_test = RelayUnderTest()
    alice = await under_test.client()
    alice.channel.receive(send(f"{alice.use_path} {alice.use_path} {alice.uri}", alice.uri))
    [answer] = alice.channel.taken()
    assert answer.startswith(b"MSRP t001 481 ")


async def test_unknown_session_is_481_and_a_foreign_host_loses_its_connection() -> None:
    under_test = RelayUnderTest()
    peer = under_test.connect()
    peer.receive(send("msrps://relay.test:2855/nobody;tcp msrp://x.invalid:1/x;tcp", PEER))
    assert peer.taken()[0].startswith(b"MSRP t001 481 ")
    assert peer.is_open
    peer.receive(send("msrps://elsewhere.test:2855/nobody;tcp msrp://x.invalid:1/x;tcp", PEER))
    assert not peer.is_open


async def test_second_connection_that_claims_a_bound_peer_gets_506() -> None:
    under_test = RelayUnderTest()
    client = await under_test.client()
    first, second = under_test.connect(), under_test.connect()
    first.receive(send(f"{client.use_path} {client.uri}", PEER))
    second.receive(send(f"{client.use_path} {client.uri}", PEER))
    assert second.taken()[0].startswith(b"MSRP t001 506 ")


async def test_client_reaches_the_bound_peer_over_the_peers_own_connection() -> None:
    under_test = RelayUnderTest()
    client = await under_test.client()
    peer = under_test.connect()
    peer.receive(send(f"{client.use_path} {client.uri}", PEER))
    peer.taken()
    client.channel.receive(send(f"{client.use_path} {PEER}", client.uri))
    [forwarded] = peer.taken()
    assert value_of(forwarded, "From-Path") == f"{client.use_path} {client.uri}"


async def test_unreachable_next_hop_is_reported() -> None:
    under_test = RelayUnderTest()
    client = await under_test.client()
    client.channel.taken()
    client.channel.receive(send(f"{client.use_path} msrp://gone.example:7/p;tcp", client.uri))
    await under_test.runtime.settle()
    frames = client.channel.taken()
    assert frames[0].split(b" ")[2] == b"REPORT\r\nTo-Path:"
    assert value_of(frames[0], "Status") == "000 408 next hop: refused"
    assert frames[1].startswith(b"MSRP t001 200 ")
    assert client.channel.reading


async def test_sender_stops_reading_while_the_receiver_is_full_and_goes_on_after() -> None:
    under_test = RelayUnderTest()
    client = await under_test.client()
    peer = under_test.connect()
    client.channel.full_above = 65_536
    body = b"x" * 10_000
    data = b"".join(
        send(f"{client.use_path} {client.uri}", PEER, body, transaction_id=f"t{index:03}") for index in range(40)
    )
    peer.receive(data)
    assert not peer.reading
    held = len(client.channel.frames)
    assert 6 <= held < 40
    while not peer.reading:
        client.channel.drain()
    assert len(client.channel.taken()) == 40
    assert len(peer.taken()) == 40


async def test_lost_sender_leaves_a_plus_chunk_and_then_an_abort() -> None:
    under_test = RelayUnderTest(RelaySettings(resume_window=10))
    client = await under_test.client()
    peer = under_test.connect()
    data = send(f"{client.use_path} {client.uri}", PEER, b"y" * 200_000, byte_range="1-*/200000")
    peer.receive(data[:150_000])
    peer.lose()
    frames = client.channel.taken()
    assert frames[-1].endswith(b"+\r\n")
    octets = sum(len(body_of(frame)) for frame in frames)
    assert 149_000 < octets < 150_000
    under_test.advance(12)
    aborts = [frame for frame in client.channel.taken() if frame.endswith(b"#\r\n")]
    assert len(aborts) == 1
    assert value_of(aborts[0], "Message-ID") == "m001"


async def test_session_is_resumed_by_the_same_user_from_the_same_uri_with_what_was_held() -> None:
    under_test = RelayUnderTest()
    client = await under_test.client()
    peer = under_test.connect()
    use_path = client.use_path
    client.channel.lose()
    peer.receive(send(f"{use_path} {client.uri}", PEER))
    assert peer.taken()[0].startswith(b"MSRP t001 200 ")
    again = FakeClient(under_test, under_test.connect(), "alice", client.uri)
    challenge = await again.auth()
    again.channel.receive(f"MSRP a2aa AUTH\r\nTo-Path: {RELAY_URI}\r\nFrom-Path: {again.uri}\r\n".encode())
    again.channel.receive(f"{again.authorization(challenge)}-------a2aa$\r\n".encode())
    await under_test.runtime.settle()
    answer, held = again.channel.taken()
    assert value_of(answer, "Use-Path") == use_path
    assert body_of(held) == b"hello"
    again.channel.receive(ok_to(held))
    under_test.advance(40)
    assert peer.taken() == []


async def test_held_chunks_are_reported_when_nobody_resumes() -> None:
    under_test = RelayUnderTest()
    client = await under_test.client()
    peer = under_test.connect()
    client.channel.lose()
    peer.receive(send(f"{client.use_path} {client.uri}", PEER))
    peer.taken()
    under_test.advance(22)
    [report] = peer.taken()
    assert value_of(report, "Status") == "000 408 the receiver is not connected"
    peer.receive(send(f"{client.use_path} {client.uri}", PEER, transaction_id="t002"))
    assert peer.taken()[0].startswith(b"MSRP t002 481 ")


async def test_receiver_that_never_answers_holds_its_senders_back_until_the_timers_have_run() -> None:
    under_test = RelayUnderTest()
    client = await under_test.client()
    peer = under_test.connect()
    to_path = f"{client.use_path} {client.uri}"
    sent = 0
    while peer.reading and sent < 10_000:
        peer.receive(b"".join(send(to_path, PEER, transaction_id=f"t{sent + index:05}") for index in range(100)))
        sent += 100
    assert sent < 5_000
    assert len(client.channel.hop.transactions) <= 4_200
    under_test.advance(33)
    assert peer.reading
    reports = [frame for frame in peer.taken() if b" REPORT\r\n" in frame[:30]]
    assert len(reports) >= 4_000


async def test_answers_let_the_senders_go_on() -> None:
    under_test = RelayUnderTest()
    client = await under_test.client()
    peer = under_test.connect()
    to_path = f"{client.use_path} {client.uri}"
    for first in range(0, 4_200, 100):
        peer.receive(b"".join(send(to_path, PEER, transaction_id=f"t{first + index:05}") for index in range(100)))
    assert not peer.reading
    client.channel.receive(b"".join(map(ok_to, client.channel.taken())))
    assert peer.reading


async def test_one_long_chunk_has_2_mib_under_way_at_most_and_others_overtake_it() -> None:
    under_test = RelayUnderTest()
    client = await under_test.client()
    peer, other = under_test.connect(), under_test.connect()
    to_path = f"{client.use_path} {client.uri}"
    body = b"z" * 4_194_304
    data = send(to_path, PEER, body, byte_range="1-*/4194304")
    position = 0
    while peer.reading and position < len(data):
        peer.receive(data[position : position + 262_144])
        position += 262_144
    assert not peer.reading
    under_way = client.channel.taken()
    assert len(under_way) == 32
    other.receive(send(to_path, "msrp://other.invalid:8/o;tcp"))
    assert [body_of(frame) for frame in client.channel.taken()] == [b"hello"]
    frames = under_way
    while under_way:
        client.channel.receive(b"".join(map(ok_to, under_way)))
        if peer.reading and position < len(data):
            peer.receive(data[position : position + 262_144])
            position += 262_144
        under_way = client.channel.taken()
        frames += under_way
    assert b"".join(map(body_of, frames)) == body
