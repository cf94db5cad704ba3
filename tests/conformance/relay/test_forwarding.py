"""Rows M95 to M108 at the relay: chains of relays and forwarding (RFC 4976 sections 5.1, 6.2 and 6.4)."""

import re
import tracemalloc

import pytest

from tests.support.relay import RELAY_URI, FakeChannel, FakeClient, RelayUnderTest, ok_to, send, value_of
from tests.support.relay_pair import PEER, flag, head_of, kind, kinds, octets_of, pair, request, settings, statuses
from wigwag.relay.hop import Hop

R2 = "msrps://r2.test:2855;tcp"
R2_SESSION = "msrps://r2.test:2855/s2;tcp"


async def chain() -> tuple[RelayUnderTest, FakeClient, FakeChannel]:
    """Return a client of our relay R1 and the connection that R1 opens toward R2."""
    under_test = RelayUnderTest()
    client = await under_test.client()
    second = FakeChannel(Hop(under_test.relay), remote=("203.0.113.2", 2855))
    under_test.connector.peers[R2] = under_test.connector.peers[R2_SESSION] = second
    return under_test, client, second


async def authenticates_through(client: FakeClient, second: FakeChannel, transaction_id: str) -> bytes:
    """Let the client AUTH at R2 through R1; returns what R2 gets."""
    client.channel.receive(request("AUTH", f"{client.use_path} {R2}", client.uri, transaction_id=transaction_id))
    await client.under_test.runtime.settle()
    [forwarded] = second.taken()
    return forwarded


def answer_of_second(forwarded: bytes, status: str, fields: str) -> bytes:
    """Build R2's answer to an AUTH."""
    transaction_id = forwarded.split(b" ")[1].decode()
    head = f"MSRP {transaction_id} {status}\r\nTo-Path: {value_of(forwarded, 'From-Path')}\r\nFrom-Path: {R2}\r\n"
    return f"{head}{fields}-------{transaction_id}$\r\n".encode()


async def test_m95_an_auth_through_us_reaches_the_second_relay_and_its_answers_come_back() -> None:
    _, client, second = await chain()
    forwarded = await authenticates_through(client, second, "first1")
    assert kind(forwarded) == "AUTH"
    assert value_of(forwarded, "To-Path") == R2
    assert value_of(forwarded, "From-Path") == f"{client.use_path} {client.uri}"
    for transaction_id, status, fields in (
        ("first1", "401 Unauthorized", 'WWW-Authenticate: Digest realm="r2", nonce="n", qop="auth"\r\n'),
        ("second", "200 OK", f"Use-Path: {client.use_path} {R2_SESSION}\r\nExpires: 900\r\n"),
    ):
        second.receive(answer_of_second(forwarded, status, fields))
        [answer] = client.channel.taken()
        assert answer.startswith(f"MSRP {transaction_id} {status}\r\n".encode())
        assert value_of(answer, "To-Path") == client.uri
        assert value_of(answer, "From-Path") == f"{client.use_path} {R2}"
        assert head_of(answer) == fields.encode()
        if status.startswith("401"):
            forwarded = await authenticates_through(client, second, "second")


async def test_m95_the_second_relay_gives_a_use_path_in_to_path_order() -> None:
    under_test = RelayUnderTest()
    first_relay = "msrps://r1.test:2855/s1;tcp"
    client = FakeClient(under_test, under_test.connect(), "alice", f"{first_relay} msrps://client.invalid:9/a;tcp")
    challenge = await client.auth()
    assert value_of(challenge, "To-Path") == client.uri
    answer = await client.auth(client.authorization(challenge), transaction_id="auth2")
    assert kind(answer) == "200"
    first, own = (value_of(answer, "Use-Path") or "").split()
    assert first == first_relay
    assert re.fullmatch(r"msrps://relay\.test:2855/[\w-]{35};tcp", own)
    peer = under_test.connect()
    peer.receive(send(f"{own} {client.uri}", PEER))
    [forwarded] = client.channel.taken()
    assert value_of(forwarded, "To-Path") == client.uri


async def test_m95_three_relays_before_us_stand_in_the_use_path_in_order() -> None:
    under_test = RelayUnderTest()
    relays = [f"msrps://r{index}.test:2855/s;tcp" for index in range(3)]
    client = FakeClient(under_test, under_test.connect(), "alice", " ".join([*relays, "msrps://c.invalid:9/a;tcp"]))
    answer = await client.authenticate()
    assert (value_of(answer, "Use-Path") or "").split()[:-1] == list(reversed(relays))


async def test_m95_an_auth_through_us_of_somebody_else_is_refused() -> None:
    _, client, second = await chain()
    stranger = client.under_test.connect()
    stranger.receive(request("AUTH", f"{client.use_path} {R2}", client.uri))
    await client.under_test.runtime.settle()
    assert kinds(stranger.taken()) == ["481"]
    assert second.taken() == []
    stranger.receive(request("AUTH", f"{client.use_path} {client.uri}", PEER))
    assert kinds(stranger.taken()) == ["403"]
    assert client.channel.taken() == []


async def test_m95_wrong_passwords_at_the_second_relay_count_here_too() -> None:
    _, client, second = await chain()
    for index in range(3):
        assert client.channel.is_open
        authorization = 'Authorization: Digest username="a", response="b"\r\n'
        client.channel.receive(
            request("AUTH", f"{client.use_path} {R2}", client.uri, authorization, transaction_id=f"try{index}")
        )
        await client.under_test.runtime.settle()
        [forwarded] = second.taken()
        second.receive(answer_of_second(forwarded, "401 No", 'WWW-Authenticate: Digest realm="r", nonce="n"\r\n'))
    assert not client.channel.is_open


@pytest.mark.parametrize("method", ["SEND", "AUTH", "REPORT", "FROB"])
async def test_m96_a_request_for_another_host_loses_its_connection(method: str) -> None:
    ends = await pair()
    for to_path in (f"msrps://elsewhere.test:2855/x;tcp {PEER}", "msrps://elsewhere.test:2855;tcp"):
        stranger = ends.under_test.connect()
        fields = "Message-ID: m001\r\nStatus: 000 200 OK\r\n" if method != "AUTH" else ""
        stranger.receive(request(method, to_path, PEER, fields))
        assert not stranger.is_open
        assert stranger.taken() == []
    assert kinds(ends.peer_sends()) == ["200"]


async def test_m97_only_paths_and_transaction_identifier_change() -> None:
    ends = await pair()
    fields = "X-First: 1\r\nSuccess-Report: yes\r\nx-second:  2 \r\nFailure-Report: partial\r\n"
    data = ends.frame(b"\0\xffhello\r\n", fields=fields)
    ends.peer.receive(data)
    [forwarded] = ends.delivered()
    transaction_id = forwarded.split(b" ")[1]
    assert transaction_id != b"t001"
    expected = data.replace(b"t001", transaction_id)
    expected = expected.replace(f"To-Path: {ends.to_client}".encode(), f"To-Path: {ends.client.uri}".encode())
    assert forwarded == expected.replace(
        f"From-Path: {PEER}".encode(), f"From-Path: {ends.client.use_path} {PEER}".encode()
    )


async def test_m98_the_immediate_200_goes_to_the_previous_hop_only() -> None:
    ends = await pair()
    origin = f"msrp://relay.example:1/s;tcp {PEER}"
    peer = ends.under_test.connect()
    peer.receive(send(ends.to_client, origin))
    [answer] = peer.taken()
    assert kind(answer) == "200"
    assert value_of(answer, "To-Path") == "msrp://relay.example:1/s;tcp"
    assert value_of(answer, "From-Path") == ends.client.use_path
    assert kinds(ends.delivered()) == ["SEND"], "forwarded before any response from the client"


@pytest.mark.parametrize(("failure_report", "reports"), [("yes", ["408"]), ("partial", []), ("no", [])])
async def test_m99_silence_of_the_next_hop_is_reported_to_the_origin(failure_report: str, reports: list[str]) -> None:
    ends = await pair()
    origin = f"msrp://relay.example:1/s;tcp {PEER}"
    peer = ends.under_test.connect()
    peer.receive(send(ends.to_client, origin, byte_range="11-15/99", fields=f"Failure-Report: {failure_report}\r\n"))
    peer.taken()
    ends.under_test.advance(32)
    frames = peer.taken()
    assert statuses(frames) == reports
    for report in frames:
        assert value_of(report, "To-Path") == origin
        assert value_of(report, "Message-ID") == "m001"
        assert value_of(report, "Byte-Range") == "11-15/99"


@pytest.mark.parametrize("status", ["415", "413", "481", "403", "501", "999"])
@pytest.mark.parametrize("failure_report", ["yes", "partial", "no"])
async def test_m100_a_refusal_of_the_next_hop_is_reported_with_its_code(failure_report: str, status: str) -> None:
    ends = await pair()
    ends.peer_sends(fields=f"Failure-Report: {failure_report}\r\n")
    [forwarded] = ends.delivered()
    ends.client_answers(forwarded, f"{status} So what")
    assert statuses(ends.peer.taken()) == ([] if failure_report == "no" else [status])


async def test_m100_a_refused_chunk_stops_its_message_and_no_other() -> None:
    ends = await pair()
    ends.peer_sends(b"12345", byte_range="1-5/15", flag="+")
    [forwarded] = ends.delivered()
    ends.client_answers(forwarded, "413 Stop")
    assert statuses(ends.peer.taken()) == ["413"]
    assert kinds(ends.peer_sends(b"67890", byte_range="6-10/15", flag="+", transaction_id="t002")) == ["413"]
    assert kinds(ends.peer_sends(b"other", message_id="m002", transaction_id="t003")) == ["200"]
    assert octets_of(ends.delivered()) == b"other"


async def test_m101_a_next_hop_that_refuses_the_connection_is_reported() -> None:
    ends = await pair()
    ends.client.channel.receive(send(f"{ends.client.use_path} msrp://gone.example:7/p;tcp", ends.client.uri))
    await ends.under_test.runtime.settle()
    frames = ends.client.channel.taken()
    assert statuses(frames) == ["408"]
    assert kinds(frames) == ["REPORT", "200"]
    assert ends.client.channel.reading


async def test_m101_a_next_hop_that_cannot_be_reached_is_not_tried_for_every_message() -> None:
    ends = await pair()
    for index in range(10):
        ends.client.channel.receive(
            send(
                f"{ends.client.use_path} msrp://gone.example:7/p{index};tcp", ends.client.uri, message_id=f"m00{index}"
            )
        )
        await ends.under_test.runtime.settle()
    assert len(ends.under_test.connector.asked) == 1
    assert kinds(ends.client.channel.taken()) == ["REPORT", "200", *["408"] * 9]


async def test_m102_every_sub_chunk_has_the_same_message_id_and_the_exact_range() -> None:
    ends = await pair()
    data = ends.frame(bytes(300_000), byte_range="501-*/400000", flag="+", fields="X-Kept: 1\r\n")
    for start in range(0, len(data), 7_777):
        ends.peer.receive(data[start : start + 7_777])
    frames = ends.delivered()
    position = 501
    for frame in frames:
        assert value_of(frame, "Message-ID") == "m001"
        assert value_of(frame, "X-Kept") == "1"
        octets = len(octets_of([frame]))
        assert value_of(frame, "Byte-Range") == f"{position}-{position + octets - 1}/400000"
        position += octets
    assert position == 300_501
    assert {flag(frame) for frame in frames} == {"+"}


async def test_m102_two_large_messages_on_two_connections_never_mix() -> None:
    ends = await pair()
    other = ends.under_test.connect()
    pieces = {}
    for name, channel, peer_uri in (("aaaa", ends.peer, PEER), ("bbbb", other, "msrp://other.invalid:7/p;tcp")):
        data = send(ends.to_client, peer_uri, name[:1].encode() * 200_000, message_id=name, byte_range="1-*/*")
        pieces[name] = (channel, [data[start : start + 30_000] for start in range(0, len(data), 30_000)])
    for index in range(7):
        for channel, parts in pieces.values():
            channel.receive(parts[index] if index < len(parts) else b"")
    frames = ends.delivered()
    for name in ("aaaa", "bbbb"):
        own = [frame for frame in frames if value_of(frame, "Message-ID") == name]
        assert octets_of(own) == name[:1].encode() * 200_000
        assert flag(own[-1]) == "$"


async def test_m103_a_message_of_unknown_length_streams_in_constant_memory() -> None:
    ends = await pair()
    piece = b"x" * 65_536
    ends.peer.receive(ends.frame(b"", byte_range="1-*/*").split(b"\r\n-------")[0])
    tracemalloc.start()
    received = 0
    for _ in range(1024):
        ends.peer.receive(piece)
        frames = ends.delivered()
        received += sum(map(len, map(octets_of, ([frame] for frame in frames))))
        ends.client.channel.receive(b"".join(map(ok_to, frames)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000
    ends.peer.receive(b"\r\n-------t001$\r\n")
    last = ends.delivered()
    assert received + len(octets_of(last)) == 1024 * 65_536
    assert kinds(ends.peer.taken()) == ["200"]


async def test_m103_a_report_overtakes_the_message_that_waits() -> None:
    ends = await pair()
    data = ends.frame(b"x" * 1_000_000, byte_range="1-*/*")
    ends.client.channel.full_above = 65_536
    position = 0
    while ends.peer.reading:
        ends.peer.receive(data[position : position + 50_000])
        position += 50_000
    ends.delivered()
    other = ends.under_test.connect()
    other.receive(
        request("REPORT", ends.to_client, PEER.replace("/p", "/q"), "Message-ID: m9\r\nStatus: 000 200 OK\r\n")
    )
    assert kinds(ends.delivered()) == ["REPORT"]


@pytest.mark.parametrize("relays", [2, 3, 4])
async def test_m104_a_path_of_several_relays_works_both_ways(relays: int) -> None:
    under_test, client, second = await chain()
    onward = [
        R2_SESSION,
        *(f"msrps://r{index}.test:2855/s;tcp" for index in range(3, relays + 1)),
        "msrp://b.test:7/b;tcp",
    ]
    client.channel.receive(send(" ".join([client.use_path, *onward]), client.uri))
    await under_test.runtime.settle()
    [forwarded] = second.taken()
    assert value_of(forwarded, "To-Path") == " ".join(onward)
    assert value_of(forwarded, "From-Path") == f"{client.use_path} {client.uri}"
    second.receive(send(f"{client.use_path} {client.uri}", " ".join(onward)))
    assert kinds(second.taken()) == ["200"]
    back = client.channel.taken()[-1]
    assert value_of(back, "From-Path") == " ".join([client.use_path, *onward])


@pytest.mark.parametrize(("uris", "status"), [(60, "200"), (61, "400")])
async def test_m104_a_path_has_at_most_60_uris(uris: int, status: str) -> None:
    under_test, client, second = await chain()
    onward = [R2_SESSION, *(f"msrps://relay{index}.test:2855/s;tcp" for index in range(uris - 2))]
    client.channel.receive(send(" ".join([client.use_path, *onward]), client.uri))
    await under_test.runtime.settle()
    assert kinds(client.channel.taken()) == [status]
    assert kinds(second.taken()) == (["SEND"] if status == "200" else [])


@pytest.mark.parametrize(("uris", "status"), [(60, "200"), (61, "400")])
async def test_m104_a_message_has_come_over_at_most_60_uris(uris: int, status: str) -> None:
    ends = await pair()
    from_path = " ".join(f"msrps://relay{index}.test:2855/s;tcp" for index in range(uris))
    peer = ends.under_test.connect()
    peer.receive(send(ends.to_client, from_path))
    assert kinds(peer.taken()) == [status]
    assert kinds(ends.delivered()) == (["SEND"] if status == "200" else [])


async def test_m105_the_same_relay_twice_for_two_sessions_works() -> None:
    under_test = RelayUnderTest()
    alice = await under_test.client("alice", "msrps://alice.invalid:1/a;tcp")
    bob = await under_test.client("bob", "msrps://bob.invalid:2/b;tcp")
    alice.channel.receive(send(f"{alice.use_path} {bob.use_path} {bob.uri}", alice.uri))
    assert kinds(alice.channel.taken()) == ["200"]
    [forwarded] = bob.channel.taken()
    assert value_of(forwarded, "From-Path") == f"{bob.use_path} {alice.use_path} {alice.uri}"
    bob.channel.receive(ok_to(forwarded, "415 No"))
    [report] = alice.channel.taken()
    assert value_of(report, "To-Path") == alice.uri
    assert statuses([report]) == ["415"]


@pytest.mark.parametrize("times", [2, 3, 58])
async def test_m105_the_same_session_twice_ends_with_an_error_and_no_loop(times: int) -> None:
    ends = await pair()
    ends.client.channel.receive(send(" ".join([ends.client.use_path] * times + [ends.client.uri]), ends.client.uri))
    assert kinds(ends.delivered()) == ["481"]
    ends.peer.receive(send(" ".join([ends.client.use_path] * times + [ends.client.uri]), PEER))
    assert kinds(ends.peer.taken()) == ["481"]
    assert ends.delivered() == []


async def test_m107_a_receiver_that_stalls_holds_only_its_own_sender_back() -> None:
    ends = await pair()
    other = await ends.under_test.client("bob", "msrps://bob.invalid:9/b;tcp")
    sender = ends.under_test.connect()
    ends.client.channel.full_above = 0
    for index in range(3):
        ends.peer.receive(ends.frame(transaction_id=f"t00{index}"))
    assert not ends.peer.reading
    sender.receive(send(f"{other.use_path} {other.uri}", "msrp://sender.invalid:7/p;tcp"))
    assert kinds(sender.taken()) == ["200"]
    assert sender.reading
    assert kinds(other.channel.taken()) == ["SEND"]
    ends.client.channel.full_above = None
    ends.client.channel.drain()
    assert ends.peer.reading
    assert len(ends.delivered()) == 3


async def test_m108_the_response_to_an_auth_whose_client_is_gone_is_dropped_silently() -> None:
    under_test, client, second = await chain()
    forwarded = await authenticates_through(client, second, "first1")
    client.channel.lose()
    second.receive(answer_of_second(forwarded, "401 Unauthorized", 'WWW-Authenticate: Digest realm="r", nonce="n"\r\n'))
    assert client.channel.taken() == []
    assert second.taken() == []
    assert second.is_open
    assert under_test.relay.settings == settings()
    assert client.use_path.startswith(RELAY_URI.split(";")[0])
