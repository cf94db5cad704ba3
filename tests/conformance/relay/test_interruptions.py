"""DESIGN of the relay: lost and resumed sessions, stalled receivers, interrupted streams, rates."""

import pytest

from tests.support.relay import FakeClient, RelayUnderTest, body_of, ok_to, send, session_views, value_of
from tests.support.relay_pair import PEER, Pair, flag, kind, kinds, octets_of, pair, settings, statuses
from wigwag.relay.departure import ANSWERS_AWAITED


async def resumed(ends: Pair) -> FakeClient:
    """Let the client AUTH on a new connection; what came with the 200 stays in the channel."""
    again = FakeClient(ends.under_test, ends.under_test.connect(), ends.client.username, ends.client.uri)
    challenge = await again.auth()
    answer = await _auth_keeping_rest(again, again.authorization(challenge))
    again.use_path = value_of(answer, "Use-Path") or ""
    return again


async def _auth_keeping_rest(client: FakeClient, authorization: str) -> bytes:
    head = f"MSRP again1 AUTH\r\nTo-Path: msrps://relay.test:2855;tcp\r\nFrom-Path: {client.uri}\r\n"
    client.channel.receive(f"{head}{authorization}-------again1$\r\n".encode())
    await client.under_test.runtime.settle()
    return client.channel.frames.pop(0)


def large(ends: Pair, octets: int = 300_000, **how: str) -> bytes:
    return ends.frame(b"x" * octets, byte_range=f"1-*/{octets}", **how)


# Newest AUTH wins


async def test_the_newest_auth_wins_and_traffic_goes_to_its_connection() -> None:
    ends = await pair()
    ends.peer_sends(message_id="m-old")
    again = await resumed(ends)
    assert again.use_path == ends.client.use_path
    assert kinds(ends.peer_sends()) == ["200"]
    assert kinds(again.channel.taken()) == ["SEND"]
    ends.under_test.advance(ANSWERS_AWAITED + 1)
    assert not ends.client.channel.is_open
    assert statuses(ends.peer.taken()) == ["408"], "what the old connection has not answered is reported"


async def test_the_newest_auth_of_another_uri_or_user_takes_nothing_over() -> None:
    ends = await pair()
    for username, uri in (("alice", "msrps://client.invalid:9/b;tcp"), ("bob", ends.client.uri)):
        other = await ends.under_test.client(username, uri)
        assert other.use_path != ends.client.use_path
    assert ends.client.channel.is_open
    ends.peer_sends()
    assert kinds(ends.delivered()) == ["SEND"]


async def test_the_newest_auth_in_the_middle_of_a_chunk_gets_the_rest_of_it() -> None:
    ends = await pair()
    data = large(ends)
    ends.peer.receive(data[:150_000])
    first = ends.delivered()
    again = await resumed(ends)
    ends.peer.receive(data[150_000:])
    rest = again.channel.taken()
    assert octets_of(first) + octets_of(rest) == b"x" * 300_000
    assert flag(rest[-1]) == "$"
    for frame in first:
        ends.client.channel.receive(ok_to(frame))
    assert not ends.client.channel.is_open
    assert statuses(ends.peer.taken()) == []


# Suspended and resumed


async def test_what_is_held_for_a_suspended_session_is_bounded_by_64_kib_and_one_chunk() -> None:
    ends = await pair()
    ends.client.channel.lose()
    answers = [kinds(ends.peer_sends(b"x" * 10_000, message_id=f"m{index:03}")) for index in range(20)]
    held = answers.index(["481"])
    assert held == 7
    assert answers[held:] == [["481"]] * (20 - held)
    again = await resumed(ends)
    assert len(octets_of(again.channel.taken())) == held * 10_000


async def test_a_large_chunk_for_a_suspended_session_is_cut_off_with_a_report() -> None:
    ends = await pair()
    ends.client.channel.lose()
    data = large(ends)
    for start in range(0, len(data), 50_000):
        ends.peer.receive(data[start : start + 50_000])
    frames = ends.peer.taken()
    assert set(statuses(frames)) == {"481"}
    assert kinds(frames)[-1] == "200"
    again = await resumed(ends)
    assert len(octets_of(again.channel.taken())) == 65_536


async def test_held_chunks_are_given_up_after_20_seconds_and_the_session_can_still_be_resumed() -> None:
    ends = await pair()
    ends.client.channel.lose()
    ends.peer_sends()
    ends.under_test.advance(19)
    assert ends.peer.taken() == []
    ends.under_test.advance(2)
    assert statuses(ends.peer.taken()) == ["408"]
    assert kinds(ends.peer_sends(transaction_id="t002", message_id="m002")) == ["481"]
    again = await resumed(ends)
    assert again.use_path == ends.client.use_path
    assert again.channel.taken() == []
    assert kinds(ends.peer_sends(transaction_id="t003", message_id="m003")) == ["200"]
    assert kinds(again.channel.taken()) == ["SEND"]


async def test_a_session_that_is_not_resumed_within_the_window_is_gone() -> None:
    ends = await pair()
    ends.client.channel.lose()
    ends.under_test.advance(62)
    assert kinds(ends.peer_sends()) == ["481"]
    again = await resumed(ends)
    assert again.use_path != ends.client.use_path
    assert len(session_views(ends.under_test.relay)) == 1


async def test_only_the_same_user_from_the_same_uri_resumes() -> None:
    ends = await pair()
    ends.client.channel.lose()
    ends.peer_sends()
    other = await ends.under_test.client("bob", ends.client.uri)
    assert other.use_path != ends.client.use_path
    assert other.channel.taken() == []
    assert {view.state for view in session_views(ends.under_test.relay)} == {"active", "suspended"}


async def test_the_strict_relay_ends_a_session_with_its_connection() -> None:
    ends = await pair(settings(resume_window=0))
    ends.client.channel.lose()
    assert kinds(ends.peer_sends()) == ["481"]
    assert session_views(ends.under_test.relay) == []


async def test_a_report_waits_for_a_suspended_session_and_other_methods_are_refused() -> None:
    ends = await pair()
    ends.client.channel.lose()
    head = f"To-Path: {ends.to_client}\r\nFrom-Path: {PEER}\r\n"
    for method in ("REPORT", "FROB"):
        fields = "Message-ID: m1\r\nStatus: 000 200 OK\r\n"
        ends.peer.receive(f"MSRP q001 {method}\r\n{head}{fields}-------q001$\r\n".encode())
    assert kinds(ends.peer.taken()) == ["481"]
    again = await resumed(ends)
    assert kinds(again.channel.taken()) == ["REPORT"]


async def test_reports_reach_a_client_that_resumed_elsewhere() -> None:
    ends = await pair()
    ends.client.channel.receive(send(ends.to_peer, ends.client.uri, message_id="m007"))
    [outgoing] = ends.peer.taken()
    ends.client.channel.lose()
    again = await resumed(ends)
    ends.peer.receive(ok_to(outgoing, "415 No"))
    [report] = again.channel.taken()
    assert statuses([report]) == ["415"]
    assert value_of(report, "Message-ID") == "m007"


# A lost next hop


@pytest.mark.parametrize(("failure_report", "reports"), [("yes", ["408"] * 3), ("partial", []), ("no", [])])
async def test_a_lost_next_hop_is_reported_for_each_open_transaction(failure_report: str, reports: list[str]) -> None:
    ends = await pair()
    for index in range(4):
        fields = f"Failure-Report: {failure_report}\r\n"
        ends.peer_sends(message_id=f"m{index:03}", transaction_id=f"t{index:03}", fields=fields)
    ends.client_answers(ends.delivered()[0])
    ends.client.channel.lose()
    frames = ends.peer.taken()
    assert statuses(frames) == reports
    assert [value_of(frame, "Message-ID") for frame in frames] == ["m001", "m002", "m003"][: len(reports)]


# A stalled receiver on a connection that carries several sessions


async def sharing() -> tuple[Pair, FakeClient]:
    """Return a pair whose client takes nothing, and another client whose peer shares the connection."""
    ends = await pair()
    other = await ends.under_test.client("bob", "msrps://bob.invalid:9/b;tcp")
    ends.peer.receive(send(f"{other.use_path} {other.uri}", PEER, transaction_id="open"))
    ends.peer.taken()
    other.channel.taken()
    ends.client.channel.full_above = 0
    ends.peer_sends(message_id="m-full")
    return ends, other


async def test_a_stalled_session_holds_up_others_on_its_connection_for_two_seconds() -> None:
    ends, other = await sharing()
    ends.peer.receive(ends.frame(b"late", message_id="late") + send(f"{other.use_path} {other.uri}", PEER, b"other"))
    assert ends.peer.taken() == []
    ends.under_test.advance(1.5)
    assert other.channel.taken() == []
    ends.under_test.advance(2)
    frames = ends.peer.taken()
    assert kinds(frames) == ["REPORT", "200", "200"]
    assert statuses(frames) == ["408"]
    assert value_of(frames[0], "Message-ID") == "late"
    assert octets_of(other.channel.taken()) == b"other"
    assert ends.peer.reading


async def test_a_stalled_chunk_is_drained_and_its_message_goes_no_further() -> None:
    ends, other = await sharing()
    data = large(ends, transaction_id="big1", message_id="big1")
    ends.peer.receive(data[:100_000])
    assert not ends.peer.reading
    ends.under_test.advance(3)
    assert ends.peer.reading
    ends.peer.receive(data[100_000:] + send(f"{other.use_path} {other.uri}", PEER, b"other"))
    frames = ends.peer.taken()
    assert kinds(frames)[-2:] == ["200", "200"]
    assert set(statuses(frames)) == {"408"}
    reported = [(value_of(frame, "Byte-Range") or "").split("/")[0].split("-") for frame in frames[:-2]]
    assert sum(int(end) - int(start) + 1 for start, end in reported) == 300_000
    assert octets_of(other.channel.taken()) == b"other"


async def test_a_stalled_session_is_served_again_when_its_receiver_reads_on() -> None:
    ends, _ = await sharing()
    ends.peer.receive(ends.frame(message_id="late"))
    ends.under_test.advance(3)
    ends.client.channel.full_above = None
    ends.client.channel.drain()
    ends.delivered()
    ends.peer.taken()
    assert kinds(ends.peer_sends(b"again", message_id="m-new")) == ["200"]
    assert octets_of(ends.delivered()) == b"again"


async def test_a_connection_with_one_session_waits_longer_than_two_seconds() -> None:
    ends = await pair()
    ends.client.channel.full_above = 0
    ends.peer_sends()
    ends.peer.receive(ends.frame(b"late", transaction_id="t002", message_id="late"))
    ends.under_test.advance(20)
    assert ends.peer.taken() == []
    ends.client.channel.drain()
    assert kinds(ends.peer.taken()) == ["200"]


# Interrupted streams


async def test_a_sender_who_is_gone_leaves_a_plus_at_once_and_a_hash_mark_after_the_window() -> None:
    ends = await pair()
    ends.peer.receive(large(ends)[:100_000])
    ends.peer.lose()
    frames = ends.delivered()
    assert {flag(frame) for frame in frames} == {"+"}
    taken = len(octets_of(frames))
    ends.under_test.advance(58)
    assert ends.delivered() == []
    ends.under_test.advance(4)
    [abort] = ends.delivered()
    assert flag(abort) == "#"
    assert b"\r\n\r\n" not in abort
    assert value_of(abort, "Byte-Range") == f"{taken + 1}-{taken}/300000"


async def test_without_a_window_the_hash_mark_comes_at_once() -> None:
    ends = await pair(settings(resume_window=0))
    ends.peer.receive(large(ends)[:100_000])
    ends.peer.lose()
    frames = ends.delivered()
    assert [flag(frame) for frame in frames] == ["+"] * (len(frames) - 1) + ["#"]


async def test_a_message_that_goes_on_in_time_is_not_aborted() -> None:
    ends = await pair()
    ends.peer.receive(large(ends)[:100_000])
    ends.peer.lose()
    taken = len(octets_of(ends.delivered()))
    ends.under_test.advance(30)
    ends.peer = ends.under_test.connect()
    rest = ends.frame(b"x" * 50_000, byte_range=f"{taken + 1}-{taken + 50_000}/300000", flag="+", transaction_id="t002")
    ends.peer.receive(rest)
    ends.under_test.advance(60)
    assert [flag(frame) for frame in ends.delivered()] == ["+"]


async def test_a_message_abandoned_twice_is_aborted_once_a_full_window_after_the_second_time() -> None:
    ends = await pair(bound=False)
    for position in (1, 90_001):
        ends.peer = ends.under_test.connect()
        body = ends.frame(b"x" * 90_000, byte_range=f"{position}-*/300000")
        ends.peer.receive(body[:-40])
        ends.peer.lose()
        ends.delivered()
        ends.under_test.advance(50)
    assert ends.delivered() == []
    ends.under_test.advance(12)
    assert [flag(frame) for frame in ends.delivered()] == ["#"]


async def test_a_sender_who_is_gone_while_his_receiver_is_full_adds_nothing_and_is_aborted() -> None:
    ends = await pair()
    ends.client.channel.full_above = 65_536
    data = large(ends)
    ends.peer.receive(data[:200_000])
    assert not ends.peer.reading
    before = ends.client.channel.unsent()
    ends.peer.lose()
    assert ends.client.channel.unsent() == before
    ends.client.channel.full_above = None
    ends.client.channel.drain()
    ends.delivered()
    ends.under_test.advance(62)
    assert [flag(frame) for frame in ends.delivered()] == ["#"]


async def test_the_abort_reaches_a_receiver_that_resumed_elsewhere() -> None:
    ends = await pair()
    ends.peer.receive(large(ends)[:100_000])
    ends.peer.lose()
    again = await resumed(ends)
    ends.under_test.advance(62)
    assert [flag(frame) for frame in again.channel.taken()] == ["#"]


async def test_a_refused_sub_chunk_is_reported_at_once_and_the_rest_is_drained() -> None:
    ends = await pair()
    data = large(ends)
    ends.peer.receive(data[:150_000])
    first, *others = ends.delivered()
    ends.client_answers(first, "413 Stop")
    frames = ends.peer.taken()
    assert set(statuses(frames)) == {"413"}
    assert value_of(frames[0], "Byte-Range") == "1-65536/300000" or "1-65536/300000" in str(frames)
    for frame in others:
        ends.client_answers(frame)
    ends.peer.receive(data[150_000:])
    assert octets_of(ends.delivered()) == b"", "nothing more of that Message-ID is forwarded"
    frames = ends.peer.taken()
    assert kind(frames[-1]) == "200"
    assert kinds(ends.peer_sends(b"z", byte_range="300001-300001/*", transaction_id="t002")) == ["413"]
    assert kinds(ends.peer_sends(b"z", message_id="m002", transaction_id="t003")) == ["200"]


async def test_the_responses_to_sub_chunks_end_at_the_relay() -> None:
    ends = await pair()
    ends.peer.receive(large(ends))
    assert kinds(ends.peer.taken()) == ["200"]
    for frame in ends.delivered():
        ends.client_answers(frame)
    ends.under_test.advance(60)
    assert ends.peer.taken() == []


# Rates


@pytest.mark.parametrize(
    ("limits", "cost"),
    [
        ({"messages_per_second_per_session": 10}, 1),
        ({"bytes_per_second_per_session": 3000}, 300),
        ({"messages_per_second_per_address": 10}, 1),
        ({"bytes_per_second_per_address": 3000}, 300),
    ],
)
async def test_going_over_a_rate_pauses_reading_and_goes_on(limits: dict[str, int], cost: int) -> None:
    ends = await pair(settings(limits=limits), bound=False)
    ends.under_test.advance(2)
    assert ends.peer.reading
    ends.peer.receive(ends.frame() * 60)
    assert not ends.peer.reading
    ends.under_test.advance(3)
    assert not ends.peer.reading
    ends.under_test.advance(5)
    assert ends.peer.reading
    assert len(ends.delivered()) == 60
    assert ends.under_test.relay.counters["rate_pauses"] == 1
    assert cost


@pytest.mark.parametrize("scope", ["session", "address"])
async def test_a_rate_of_an_address_counts_all_its_connections_and_one_of_a_session_does_not(scope: str) -> None:
    ends = await pair(settings(limits={f"bytes_per_second_per_{scope}": 5000}))
    ends.under_test.advance(5)
    neighbour = ends.under_test.connect(remote=ends.peer.remote)
    elsewhere = ends.under_test.connect(remote=("198.51.100.9", 1))
    ends.peer.receive(ends.frame() * 40)
    for index, channel in enumerate((neighbour, elsewhere)):
        channel.receive(send(ends.to_client, f"msrp://peer{index}.invalid:7/p;tcp"))
    assert neighbour.reading is (scope == "session")
    assert elsewhere.reading


async def test_rates_of_addresses_that_are_gone_are_forgotten() -> None:
    under_test = RelayUnderTest(settings(limits={"bytes_per_second_per_address": 1000}))
    for index in range(50):
        channel = under_test.connect(remote=(f"198.51.100.{index}", 1))
        channel.receive(send("msrps://relay.test:2855/nobody;tcp msrp://x.invalid:1/x;tcp", PEER))
        channel.lose()
    assert not under_test.relay._address_rates


async def test_steady_traffic_below_the_rate_is_never_paused() -> None:
    ends = await pair(settings(limits={"messages_per_second_per_session": 10}))
    for index in range(60):
        ends.peer.receive(ends.frame(transaction_id=f"t{index:03}"))
        ends.under_test.advance(0.25)
    assert ends.under_test.relay.counters["rate_pauses"] == 0
    assert [body_of(frame) for frame in ends.delivered()] == [b"hello"] * 60
