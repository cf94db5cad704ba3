"""Rows M01 to M33 at the relay: framing and grammar (RFC 4975 sections 7.1 and 9)."""

import tracemalloc

import pytest

from tests.support.relay import RelayUnderTest, body_of, ok_to, value_of
from tests.support.relay_pair import PEER, Pair, flag, head_of, kinds, masked, octets_of, pair, request, settings

NASTY = bytes(range(256)) + b"\0\r\n-------\r\n-------d93ksw\r\n\r"


async def refused(data: bytes) -> str:
    """Return the status that ``data`` gets, and check that the connection goes on and nothing was forwarded."""
    ends = await pair()
    ends.peer.receive(data.replace(b"@TO@", ends.to_client.encode()).replace(b"@FROM@", PEER.encode()))
    [answer] = kinds(ends.peer.taken())
    assert ends.delivered() == []
    assert kinds(ends.peer_sends(b"still there", transaction_id="later")) == ["200"]
    assert octets_of(ends.delivered()) == b"still there"
    return answer


async def closed_by(data: bytes) -> list[str]:
    """Return what is answered to ``data`` before the connection is closed, and check that a neighbour goes on."""
    ends = await pair()
    stranger = ends.under_test.connect()
    stranger.receive(data.replace(b"@TO@", ends.to_client.encode()).replace(b"@FROM@", PEER.encode()))
    assert not stranger.is_open
    assert ends.delivered() == []
    assert kinds(ends.peer_sends()) == ["200"]
    return kinds(stranger.taken())


def head(lines: str, body: str = "Content-Type: text/plain\r\n\r\nhello\r\n") -> bytes:
    """Build a SEND whose headers after the paths are ``lines``."""
    return f"MSRP t001 SEND\r\nTo-Path: @TO@\r\nFrom-Path: @FROM@\r\n{lines}{body}-------t001$\r\n".encode()


async def test_m01_a_binary_chunk_written_one_octet_per_segment_leaves_once_and_gets_one_200() -> None:
    ends = await pair()
    for octet in ends.frame(NASTY):
        ends.peer.receive(bytes([octet]))
    assert kinds(ends.peer.taken()) == ["200"]
    [forwarded] = ends.delivered()
    assert body_of(forwarded) == NASTY


async def test_m02_two_sends_a_report_and_a_200_in_one_segment_are_handled_in_order() -> None:
    ends = await pair()
    ends.client.channel.receive(_client_send(ends))
    [outstanding] = ends.peer.taken()
    ends.delivered()
    report = request("REPORT", ends.to_client, PEER, "Message-ID: m0\r\nStatus: 000 200 OK\r\n")
    ends.peer.receive(
        ends.frame(b"1", transaction_id="aaaa") + ends.frame(b"2", transaction_id="bbbb") + report + ok_to(outstanding)
    )
    assert [frame.split(b" ")[1:3] for frame in ends.peer.taken()] == [[b"aaaa", b"200"], [b"bbbb", b"200"]]
    assert kinds(ends.delivered()) == ["SEND", "SEND", "REPORT"]
    ends.under_test.advance(40)
    assert "REPORT" not in kinds(ends.delivered())


def _client_send(ends: Pair, body: bytes = b"hello") -> bytes:
    return ends.frame(body, transaction_id="cccc").replace(
        f"To-Path: {ends.to_client}\r\nFrom-Path: {PEER}".encode(),
        f"To-Path: {ends.to_peer}\r\nFrom-Path: {ends.client.uri}".encode(),
    )


async def test_m03_an_end_line_split_at_any_position_gives_the_same_result() -> None:
    ends = await pair()
    data = ends.frame(b"hello\r\n")
    end_line = len(b"\r\n-------t001$\r\n")
    results = []
    for position in range(len(data) - end_line, len(data) + 1):
        ends.peer.receive(data[:position])
        if position < len(data):
            ends.peer.receive(data[position:])
        results.append((masked(ends.delivered()), ends.peer.taken()))
    assert results[0][0][0].endswith(b"\r\n\r\nhello\r\n\r\n-------ID$\r\n")
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize(
    "body",
    [b"-------other$\r\n", b"a\r\n-------other$\r\nb", b"\r\n-------t0011$\r\n"],
)
async def test_m04_another_end_line_inside_a_body_is_body(body: bytes) -> None:
    ends = await pair()
    assert kinds(ends.peer_sends(body)) == ["200"]
    assert [body_of(frame) for frame in ends.delivered()] == [body]


async def test_m04_an_end_line_right_behind_the_blank_line_ends_an_empty_body_however_it_is_cut() -> None:
    results = []
    for position in range(0, 300, 7):
        ends = await pair()
        data = ends.frame(b"-------t001$")
        ends.peer.receive(data[:position])
        ends.peer.receive(data[position:])
        results.append((masked(ends.delivered()), ends.peer.taken()))
    assert body_of(results[0][0][0]) == b""
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize(
    "body", [b"\r\n-------t001x\r\n", b"\r\n-------t001$x", b"\r\n-------t001$\r", b"\r\n-------t001"]
)
async def test_m05_own_identifier_in_a_body_without_flag_and_crlf_is_body(body: bytes) -> None:
    ends = await pair()
    assert kinds(ends.peer_sends(body)) == ["200"]
    assert [body_of(frame) for frame in ends.delivered()] == [body]


@pytest.mark.parametrize("body", [b"a\r\n", b"a\r", b"\r\na", b"\r\n", b"-------", b"\r", b"\n", b"\r\n\r\n"])
async def test_m07_only_the_last_crlf_before_the_end_line_is_framing(body: bytes) -> None:
    ends = await pair()
    assert kinds(ends.peer_sends(body)) == ["200"]
    assert [body_of(frame) for frame in ends.delivered()] == [body]


async def test_m08_a_body_of_all_octet_values_is_kept_exactly() -> None:
    ends = await pair()
    ends.peer_sends(NASTY * 300)
    assert octets_of(ends.delivered()) == NASTY * 300


async def test_m09_an_empty_body_is_forwarded_as_one() -> None:
    ends = await pair()
    assert kinds(ends.peer_sends(b"", byte_range="1-0/0")) == ["200"]
    [forwarded] = ends.delivered()
    assert b"Content-Type: text/plain\r\n\r\n\r\n-------" in forwarded


async def test_m10_a_bodiless_send_is_answered_and_forwarded_without_a_body() -> None:
    ends = await pair()
    assert kinds(ends.peer_sends(None)) == ["200"]
    [forwarded] = ends.delivered()
    assert b"\r\n\r\n" not in forwarded


async def test_m11_an_empty_line_in_a_bodiless_send_is_400() -> None:
    assert await refused(head("Message-ID: m001\r\nByte-Range: 1-0/0\r\n", "\r\n")) == "400"


async def test_m12_a_body_without_content_type_is_400() -> None:
    assert await refused(head("Message-ID: m001\r\nByte-Range: 1-5/5\r\n", "\r\nhello\r\n")) == "400"


@pytest.mark.parametrize("continuation", ["$", "+", "#"])
async def test_m13_every_flag_is_forwarded_and_answered_200(continuation: str) -> None:
    ends = await pair()
    assert kinds(ends.peer_sends(b"part", byte_range="1-*/10", flag=continuation)) == ["200"]
    assert [flag(frame) for frame in ends.delivered()] == [continuation]


async def test_m14_another_flag_ends_nothing() -> None:
    ends = await pair()
    data = ends.frame(b"hello")
    ends.peer.receive(data.replace(b"-------t001$", b"-------t001!"))
    assert ends.peer.taken() == []
    ends.peer.receive(b"\r\n-------t001$\r\n")
    assert octets_of(ends.delivered()) == b"hello\r\n-------t001!\r\n"


@pytest.mark.parametrize("transaction_id", ["abcd", "a" * 32, "a.b+c%d=e-f", "a...", "a+++", "0000"])
async def test_m15_identifiers_of_4_to_32_characters_are_no_patterns(transaction_id: str) -> None:
    ends = await pair()
    body = b"\r\n-------" + transaction_id.replace(".", "x").encode()[:-1] + b"y$\r\n"
    [answer] = ends.peer_sends(body, transaction_id=transaction_id)
    assert answer.startswith(f"MSRP {transaction_id} 200 ".encode())
    assert octets_of(ends.delivered()) == body


@pytest.mark.parametrize("transaction_id", ["abc", "a" * 33, ".abcd", "ab cd", "ab\u00e4d"])
async def test_m15_other_identifiers_are_refused(transaction_id: str) -> None:
    ends = await pair()
    ends.peer.receive(ends.frame(transaction_id=transaction_id))
    assert not ends.peer.is_open or kinds(ends.peer.taken()) == ["400"]
    assert ends.delivered() == []


async def test_m17_a_request_with_the_identifier_of_our_own_outstanding_request_is_a_request() -> None:
    ends = await pair()
    ends.client.channel.receive(_client_send(ends))
    [outstanding] = ends.peer.taken()
    ends.delivered()
    ours = outstanding.split(b" ")[1].decode()
    assert kinds(ends.peer_sends(transaction_id=ours)) == ["200"]
    assert kinds(ends.delivered()) == ["SEND"]
    ends.under_test.advance(32)
    assert kinds(ends.delivered()) == ["REPORT"], "the request is still unanswered"


async def test_m18_unknown_and_repeated_responses_are_ignored() -> None:
    ends = await pair()
    ends.peer_sends()
    [forwarded] = ends.delivered()
    answer = ok_to(forwarded)
    for response in (answer, answer, answer.replace(forwarded.split(b" ")[1], b"unknown1"), ok_to(forwarded, "413 No")):
        ends.client.channel.receive(response)
    assert ends.peer.taken() == []
    assert ends.delivered() == []
    assert ends.client.channel.is_open
    assert ends.under_test.relay.counters["stray_responses"] == 3


@pytest.mark.parametrize("start", ["MSRP t001 send", "MSRP t001", "MSRP t001 Send", "MSRP t001 SEND extra"])
async def test_m19_a_start_line_with_an_identifier_but_no_method_is_400(start: str) -> None:
    data = head("Message-ID: m001\r\nByte-Range: 1-5/5\r\n")
    assert await refused(data.replace(b"MSRP t001 SEND", start.encode())) == "400"


@pytest.mark.parametrize("start", ["msrp t001 SEND", "MSRP  t001 SEND", "MSRP\tt001 SEND"])
async def test_m19_an_unreadable_start_line_closes_the_connection(start: str) -> None:
    data = head("Message-ID: m001\r\nByte-Range: 1-5/5\r\n").replace(b"MSRP t001 SEND", start.encode())
    assert await closed_by(data) == []


async def test_m19_bare_line_feeds_close_the_connection() -> None:
    assert await closed_by(head("Message-ID: m001\r\n").replace(b"\r\n", b"\n")) == []


async def test_m20_an_unknown_method_is_forwarded_and_its_response_comes_back() -> None:
    ends = await pair()
    ends.peer.receive(request("FROB", ends.to_client, PEER, "X-What: 1\r\n"))
    assert ends.peer.taken() == []
    [forwarded] = ends.delivered()
    assert kinds([forwarded]) == ["FROB"]
    assert head_of(forwarded) == b"X-What: 1\r\n"
    assert value_of(forwarded, "From-Path") == f"{ends.client.use_path} {PEER}"
    use_path = ends.client.use_path
    answer = ok_to(forwarded, "501 Unknown").replace(use_path.encode(), f"{use_path} {PEER}".encode())
    ends.client.channel.receive(answer)
    [response] = ends.peer.taken()
    assert response.startswith(b"MSRP q001 501 Unknown\r\n")
    assert value_of(response, "To-Path") == PEER
    assert value_of(response, "From-Path") == f"{ends.client.use_path} {ends.client.uri}"


async def test_m20_unknown_methods_are_501_when_they_are_blocked() -> None:
    ends = await pair(settings(forward_unknown_methods=False))
    ends.peer.receive(request("FROB", ends.to_client, PEER))
    assert kinds(ends.peer.taken()) == ["501"]
    assert ends.delivered() == []


async def test_m20_the_refusal_of_an_unknown_method_goes_back_over_all_its_relays() -> None:
    ends = await pair()
    ends.peer.receive(request("FROB", f"msrps://relay.test:2855/nobody;tcp {PEER}", f"msrp://r1.test:1/s;tcp {PEER}"))
    [answer] = ends.peer.taken()
    assert kinds([answer]) == ["481"]
    assert value_of(answer, "To-Path") == f"msrp://r1.test:1/s;tcp {PEER}"


async def test_m21_from_path_before_to_path_is_400() -> None:
    data = head("Message-ID: m001\r\nByte-Range: 1-5/5\r\n")
    data = data.replace(b"To-Path: @TO@\r\nFrom-Path: @FROM@", b"From-Path: @FROM@\r\nTo-Path: @TO@")
    assert await refused(data) == "400"


@pytest.mark.parametrize("change", [str.lower, str.upper])
async def test_m22_header_names_are_compared_without_regard_to_case(change: object) -> None:
    assert callable(change)
    ends = await pair()
    data = ends.frame()
    for name in ("To-Path", "From-Path", "Message-ID", "Byte-Range", "Content-Type"):
        data = data.replace(f"{name}:".encode(), f"{change(name)}:".encode())
    ends.peer.receive(data)
    assert kinds(ends.peer.taken()) == ["200"]
    assert octets_of(ends.delivered()) == b"hello"


@pytest.mark.parametrize("blanks", ["", "  ", "\t"])
async def test_m23_blanks_after_the_colon_and_at_the_end_of_a_value_are_trimmed(blanks: str) -> None:
    ends = await pair()
    data = ends.frame().replace(b": ", b":" + blanks.encode()).replace(b"/p;tcp\r\n", b"/p;tcp  \r\n")
    ends.peer.receive(data)
    assert kinds(ends.peer.taken()) == ["200"]
    [forwarded] = ends.delivered()
    assert value_of(forwarded, "To-Path") == ends.client.uri
    assert value_of(forwarded, "From-Path") == f"{ends.client.use_path} {PEER}"


@pytest.mark.parametrize("count", [1, 64])
async def test_m24_unknown_headers_are_forwarded_unchanged_and_in_order(count: int) -> None:
    ends = await pair()
    lines = "".join(f"X-Number-{index}:  värde {index} \r\n" for index in range(count))
    [answer] = ends.peer_sends(fields=lines)
    assert kinds([answer]) == ["200"]
    [forwarded] = ends.delivered()
    assert lines.encode() in forwarded


@pytest.mark.parametrize("fold", [" folded", "\tfolded"])
async def test_m25_a_folded_header_line_is_400(fold: str) -> None:
    assert await refused(head(f"Message-ID: m001\r\nX-Long: a\r\n{fold}\r\n")) == "400"


@pytest.mark.parametrize("octets", [64 * 1024, 10 * 1024 * 1024])
@pytest.mark.parametrize("ended", [True, False])
async def test_m26_a_header_line_beyond_the_limit_is_400_and_closes_the_connection(octets: int, ended: bool) -> None:
    data = head(f"Message-ID: m001\r\nX-Long: {'a' * octets}\r\n")
    assert await closed_by(data if ended else data.split(b"\r\nContent-Type")[0]) == ["400"]


async def test_m26_a_header_without_end_costs_memory_up_to_the_limit_only() -> None:
    ends = await pair()
    stranger = ends.under_test.connect()
    tracemalloc.start()
    stranger.receive(head("X-Long: ", "").split(b"-------")[0].replace(b"@TO@", ends.to_client.encode()))
    for _ in range(3000):
        if stranger.is_open:
            stranger.receive(b"a" * 4)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert stranger.is_open
    assert peak < 512 * 1024
    stranger.receive(b"a" * 8192)
    assert not stranger.is_open


async def test_m26_ten_thousand_headers_are_400_and_close_the_connection() -> None:
    assert await closed_by(head("Message-ID: m001\r\n" + "".join("X: 1\r\n" for _ in range(10_000)))) == ["400"]


async def test_m26_one_header_too_many_is_400_and_closes_the_connection() -> None:
    assert await closed_by(head("Message-ID: m001\r\n" + "".join("X: 1\r\n" for _ in range(65)))) == ["400"]


@pytest.mark.parametrize(
    "line", ["To-Path: @TO@", "From-Path: @FROM@", "Message-ID: m002", "Byte-Range: 1-5/5", "Content-Type: text/html"]
)
async def test_m27_a_duplicate_header_is_400(line: str) -> None:
    known = "Message-ID: m001\r\nByte-Range: 1-5/5\r\n"
    assert await refused(head(f"{known}{line}\r\n")) == "400"


@pytest.mark.parametrize("value", [b"\xff\xfe", b"a\0b", b"\xc3("])
async def test_m28_header_bytes_that_are_no_utf_8_text_are_400(value: bytes) -> None:
    assert await refused(head("Message-ID: m001\r\nX-Odd: @@\r\n").replace(b"@@", value)) == "400"


async def test_m29_content_type_before_other_headers_is_accepted() -> None:
    ends = await pair()
    data = ends.frame().replace(b"Content-Type: text/plain\r\n\r\n", b"Content-Type: text/plain\r\nX-Last: 1\r\n\r\n")
    ends.peer.receive(data)
    assert kinds(ends.peer.taken()) == ["200"]
    assert b"Content-Type: text/plain\r\nX-Last: 1\r\n\r\nhello" in ends.delivered()[0]


async def test_m30_a_transfer_encoding_is_forwarded_and_nothing_is_decoded() -> None:
    ends = await pair()
    ends.peer_sends(b"aGVsbG8=", fields="Content-Transfer-Encoding: base64\r\n")
    [forwarded] = ends.delivered()
    assert b"Content-Transfer-Encoding: base64\r\n" in forwarded
    assert body_of(forwarded) == b"aGVsbG8="


@pytest.mark.parametrize(
    "data",
    [
        b"\0" * 100, b"GET / HTTP/1.1\r\nHost: relay.test\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"MESSAGE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP a\r\n\r\n", b"MSRQ", b"x", b"M\r\n",
    ],
)  # fmt: skip
async def test_m31_what_is_not_msrp_closes_the_connection_at_once(data: bytes) -> None:
    assert await closed_by(data) == []


async def test_m32_two_empty_lines_between_messages_are_skipped_and_more_close_the_connection() -> None:
    ends = await pair()
    ends.peer.receive(ends.frame() + b"\r\n\r\n" + ends.frame(transaction_id="t002"))
    assert kinds(ends.peer.taken()) == ["200", "200"]
    assert kinds(ends.delivered()) == ["SEND", "SEND"]
    ends.peer.receive(b"\r\n\r\n\r\n")
    assert not ends.peer.is_open


@pytest.mark.parametrize(("octets", "accepted"), [(10_240, True), (10_241, False)])
@pytest.mark.parametrize("method", ["FROB", "REPORT"])
async def test_m33_a_body_of_another_request_may_have_10240_octets(method: str, octets: int, accepted: bool) -> None:
    ends = await pair()
    fields = "Message-ID: m001\r\nStatus: 000 200 OK\r\nContent-Type: a/b\r\n\r\n" + "x" * octets + "\r\n"
    ends.peer.receive(request(method, ends.to_client, PEER, fields))
    assert ends.peer.is_open is accepted
    assert kinds(ends.delivered()) == ([method] if accepted else [])


async def test_a_connection_that_sends_garbage_costs_only_itself() -> None:
    under_test = RelayUnderTest()
    strangers = [under_test.connect() for _ in range(50)]
    for stranger in strangers:
        stranger.receive(b"\xff" * 1000)
    assert not any(stranger.is_open for stranger in strangers)
    assert under_test.relay.counters["protocol_errors"] == 50
    assert len(under_test.relay.connection_views()) == 0
