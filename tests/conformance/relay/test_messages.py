"""Rows M42 to M65 at the relay: chunks, responses, reports (RFC 4975 sections 7.1 to 7.3, RFC 4976 section 6.4)."""

import pytest

from tests.support.relay import ok_to, send, session_views, value_of
from tests.support.relay_pair import PEER, flag, head_of, kinds, octets_of, pair, request, settings, statuses

FAILURE_REPORTS = ["", "Failure-Report: yes\r\n", "Failure-Report: partial\r\n", "Failure-Report: no\r\n"]


@pytest.mark.parametrize(
    "byte_range",
    ["0-1/1", "6-10/5", f"1-{'9' * 30}/*", f"{'9' * 30}-*/*", "-1-2/3", "1-2", "1-2/3 x", "*-2/3", "1-6/5", "5-3/10"],
)
async def test_m42_a_byte_range_that_makes_no_sense_is_400(byte_range: str) -> None:
    ends = await pair()
    assert kinds(ends.peer_sends(byte_range=byte_range)) == ["400"]
    assert ends.delivered() == []
    assert kinds(ends.peer_sends(transaction_id="t002")) == ["200"]


async def test_m45_a_send_without_message_id_is_400() -> None:
    ends = await pair()
    ends.peer.receive(ends.frame().replace(b"Message-ID: m001\r\n", b""))
    assert kinds(ends.peer.taken()) == ["400"]
    assert ends.delivered() == []


async def test_m46_chunks_of_two_messages_interleaved_leave_in_their_order() -> None:
    ends = await pair()
    for index, (message_id, byte_range) in enumerate(
        [("aaaa", "1-2/4"), ("bbbb", "1-2/4"), ("bbbb", "3-4/4"), ("aaaa", "3-4/4")]
    ):
        body = f"{message_id[0]}{index}".encode()
        ends.peer_sends(body, message_id=message_id, byte_range=byte_range, transaction_id=f"t00{index}", flag="+")
    assert octets_of(ends.delivered()) == b"a0b1b2a3"


async def test_m46_chunks_of_two_sessions_on_one_connection_reach_each_its_own() -> None:
    ends = await pair()
    other = await ends.under_test.client("bob", "msrps://bob.invalid:9/b;tcp")
    ends.peer.receive(ends.frame(b"for alice") + send(f"{other.use_path} {other.uri}", PEER, b"for bob"))
    assert octets_of(ends.delivered()) == b"for alice"
    assert octets_of(other.channel.taken()) == b"for bob"


async def test_m47_five_thousand_chunks_of_one_octet_all_arrive() -> None:
    ends = await pair()
    data = b"".join(
        ends.frame(b"x", transaction_id=f"t{index:04}", byte_range=f"{index}-{index}/5000", flag="+$"[index == 5000])
        for index in range(1, 5001)
    )
    frames: list[bytes] = []
    answered = 0
    for start in range(0, len(data), 60_000):
        ends.peer.receive(data[start : start + 60_000])
        frames += ends.delivered()
        ends.client.channel.receive(b"".join(map(ok_to, frames[answered:])))
        answered = len(frames)
    assert len(ends.peer.taken()) == 5000
    assert octets_of(frames) == b"x" * 5000
    assert [value_of(frame, "Byte-Range") for frame in frames[4998:]] == ["4999-4999/5000", "5000-5000/5000"]


async def test_m47_one_chunk_of_16_mib_without_an_asterisk_arrives() -> None:
    ends = await pair()
    body = bytes(range(256)) * 65_536
    data = ends.frame(body)
    received = bytearray()
    for start in range(0, len(data), 262_144):
        ends.peer.receive(data[start : start + 262_144])
        received += octets_of(ends.delivered_and_answered())
    assert received == body
    assert kinds(ends.peer.taken()) == ["200"]


@pytest.mark.parametrize(
    ("failure_report", "answers"), list(zip(FAILURE_REPORTS, [["200"], ["200"], [], []], strict=True))
)
async def test_m53_success_is_answered_only_when_failures_are_to_be_reported(
    failure_report: str, answers: list[str]
) -> None:
    ends = await pair()
    assert kinds(ends.peer_sends(fields=failure_report)) == answers
    [forwarded] = ends.delivered()
    ends.client_answers(forwarded)
    ends.under_test.advance(60)
    assert ends.peer.taken() == []


@pytest.mark.parametrize(("failure_report", "reports"), list(zip(FAILURE_REPORTS, [["415"]] * 3 + [[]], strict=True)))
async def test_m54_a_refused_type_is_reported_unless_nobody_asks(failure_report: str, reports: list[str]) -> None:
    ends = await pair()
    ends.peer_sends(fields=failure_report)
    [forwarded] = ends.delivered()
    ends.client_answers(forwarded, "415 Not mine")
    assert statuses(ends.peer.taken()) == reports
    ends.under_test.advance(60)
    assert ends.peer.taken() == []


@pytest.mark.parametrize(("failure_report", "answers"), list(zip(FAILURE_REPORTS, [["481"]] * 3 + [[]], strict=True)))
async def test_m55_an_unknown_session_is_481_unless_nobody_asks(failure_report: str, answers: list[str]) -> None:
    ends = await pair()
    unknown = f"msrps://relay.test:2855/nobody;tcp {ends.client.uri}"
    ends.peer.receive(send(unknown, PEER, fields=failure_report))
    assert kinds(ends.peer.taken()) == answers
    assert ends.peer.is_open


@pytest.mark.parametrize("failure_report", FAILURE_REPORTS)
async def test_m57_no_report_is_made_without_being_asked_for_success(failure_report: str) -> None:
    ends = await pair()
    ends.peer_sends(fields=f"Success-Report: no\r\n{failure_report}")
    [forwarded] = ends.delivered()
    assert b"Success-Report: no\r\n" in forwarded
    ends.client_answers(forwarded)
    ends.under_test.advance(60)
    assert ends.peer.taken() == []


@pytest.mark.parametrize(
    "fields",
    [
        "Message-ID: m001\r\nStatus: 000 200 OK\r\n",
        "Message-ID: m001\r\nByte-Range: 0-0/0\r\nStatus: 000 200 OK\r\n",
        "Message-ID: m001\r\n",
        "Status: 000 200 OK\r\n",
        "X: \0\r\n",
    ],
)
@pytest.mark.parametrize("known", [True, False])
async def test_m58_a_report_is_never_answered_and_never_reported_on(fields: str, known: bool) -> None:
    ends = await pair()
    to_path = ends.to_client if known else f"msrps://relay.test:2855/nobody;tcp {ends.client.uri}"
    ends.peer.receive(request("REPORT", to_path, PEER, fields))
    ends.under_test.advance(35)
    assert ends.peer.taken() == []
    assert ends.peer.is_open


async def test_m59_a_report_for_a_finished_session_is_ignored_and_one_for_an_unknown_message_forwarded() -> None:
    ends = await pair()
    report = request("REPORT", ends.to_client, PEER, "Message-ID: never\r\nStatus: 000 200 OK\r\n")
    ends.peer.receive(report)
    assert kinds(ends.delivered()) == ["REPORT"]
    ends.under_test.relay.end_session(session_views(ends.under_test.relay)[0].id)
    ends.peer.receive(report)
    assert ends.peer.taken() == []
    assert ends.delivered() == []


async def test_m62_a_failure_report_overtakes_the_message_in_transit_that_it_is_about() -> None:
    ends = await pair()
    data = ends.frame(b"x" * 300_000, byte_range="1-*/300000")
    ends.client.channel.full_above = 65_536
    ends.peer.receive(data[:200_000])
    assert not ends.peer.reading
    fields = "Message-ID: m001\r\nByte-Range: 1-65536/300000\r\nStatus: 000 413 Stop\r\n"
    ends.client.channel.receive(request("REPORT", ends.to_peer, ends.client.uri, fields))
    assert statuses(ends.peer.taken()) == ["413"]


async def test_m62_the_sender_ends_its_chunk_with_a_hash_mark_and_the_receiver_is_told() -> None:
    ends = await pair()
    data = ends.frame(b"x" * 300_000, byte_range="1-*/300000")
    ends.peer.receive(data[:200_000] + b"\r\n-------t001#\r\n")
    assert [flag(frame) for frame in ends.delivered()] == ["+", "+", "+", "#"]
    assert kinds(ends.peer.taken()) == ["200"]


async def test_m63_silence_becomes_408_after_30_seconds_and_a_late_200_is_ignored() -> None:
    ends = await pair()
    ends.peer_sends(byte_range="3-7/*")
    [forwarded] = ends.delivered()
    ends.under_test.advance(29)
    assert ends.peer.taken() == []
    ends.under_test.advance(3)
    [report] = ends.peer.taken()
    assert statuses([report]) == ["408"]
    assert value_of(report, "Byte-Range") == "3-7/*"
    assert value_of(report, "To-Path") == PEER
    assert value_of(report, "From-Path") == ends.client.use_path
    assert [line.split(b":")[0] for line in head_of(report).splitlines()] == [b"Message-ID", b"Byte-Range", b"Status"]
    ends.client_answers(forwarded)
    ends.client_answers(forwarded, "413 Too late")
    ends.under_test.advance(60)
    assert ends.peer.taken() == []


async def test_m63_the_30_seconds_run_from_the_last_octet_that_left() -> None:
    ends = await pair()
    ends.client.channel.full_above = 0
    ends.peer_sends()
    ends.under_test.advance(25)
    ends.client.channel.drain()
    ends.under_test.advance(28)
    assert ends.peer.taken() == []
    ends.under_test.advance(4)
    assert statuses(ends.peer.taken()) == ["408"]


async def test_m64_a_head_that_comes_an_octet_every_ten_seconds_loses_its_connection() -> None:
    ends = await pair()
    data = ends.frame()
    for octet in data[:3]:
        if ends.peer.is_open:
            ends.peer.receive(bytes([octet]))
        ends.under_test.advance(10)
    assert not ends.peer.is_open
    assert ends.client.channel.is_open


async def test_m64_a_body_that_comes_an_octet_every_ten_seconds_is_408_and_loses_its_connection() -> None:
    ends = await pair()
    data = ends.frame(b"x" * 1000)
    ends.peer.receive(data[:-500])
    for _ in range(7):
        if ends.peer.is_open:
            ends.peer.receive(b"x")
        ends.under_test.advance(10)
    assert kinds(ends.peer.taken()) == ["408"]
    assert not ends.peer.is_open
    assert ends.client.channel.is_open


async def test_m64_a_body_that_goes_on_steadily_may_take_its_time() -> None:
    ends = await pair()
    data = ends.frame(b"x" * 20_000)
    for start in range(0, len(data), 100):
        ends.peer.receive(data[start : start + 100])
        ends.under_test.advance(1)
    assert kinds(ends.peer.taken()) == ["200"]
    assert octets_of(ends.delivered()) == b"x" * 20_000


async def test_m64_a_busy_connection_whose_reads_end_inside_heads_is_not_taken_for_a_slow_one() -> None:
    ends = await pair()
    one = ends.frame()
    cut = 60
    ends.peer.receive(one[:cut])
    for _ in range(120):
        ends.peer.receive(one[cut:] + one[:cut])
        ends.under_test.advance(0.25)
    assert ends.peer.is_open
    assert len(ends.delivered()) == 120


async def test_m65_a_response_on_another_connection_than_its_request_is_ignored() -> None:
    ends = await pair()
    ends.peer_sends()
    [forwarded] = ends.delivered()
    stranger = ends.under_test.connect()
    stranger.receive(ok_to(forwarded, "413 No"))
    ends.peer.receive(ok_to(forwarded, "200 OK"))
    assert stranger.is_open
    ends.under_test.advance(32)
    assert statuses(ends.peer.taken()) == ["408"], "the transaction is still open"


async def test_a_message_above_the_limit_is_413_at_its_first_chunk_when_the_total_is_known() -> None:
    ends = await pair(settings(limits={"message_bytes": 1000}))
    assert kinds(ends.peer_sends(b"x" * 10, byte_range="1-10/1001", flag="+")) == ["413"]
    later = ends.peer_sends(b"x" * 10, byte_range="11-20/1001", transaction_id="t002", flag="+")
    assert kinds(later) == ["413"], "nothing more of that Message-ID is forwarded"
    assert ends.delivered() == []
    assert kinds(ends.peer_sends(b"x" * 1000, transaction_id="t003", message_id="m002")) == ["200"]


async def test_a_message_of_unknown_length_is_413_once_it_passes_the_limit() -> None:
    ends = await pair(settings(limits={"message_bytes": 1000}))
    for index in range(4):
        byte_range = f"{1 + 300 * index}-*/*"
        answer = ends.peer_sends(b"x" * 300, byte_range=byte_range, transaction_id=f"t00{index}", flag="+")
        assert kinds(answer) == (["200"] if index < 3 else ["413"])
    assert len(ends.delivered()) == 3


async def test_a_chunk_that_passes_the_limit_midway_is_reported_and_drained() -> None:
    ends = await pair(settings(limits={"message_bytes": 200_000}))
    data = ends.frame(b"x" * 400_000, byte_range="1-*/*")
    for start in range(0, len(data), 50_000):
        ends.peer.receive(data[start : start + 50_000])
    frames = ends.peer.taken()
    assert kinds(frames)[-1] == "200"
    assert set(statuses(frames)) == {"413"}
    assert len(octets_of(ends.delivered())) <= 200_000
