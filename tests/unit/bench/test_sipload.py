"""The SIP load generator: what it sends is right, and it notices what a server does wrong."""

import asyncio
import json
import os
import re
from collections import Counter

import pytest

from bench.generator import number
from tests.support.sipload import load, require_generator
from tests.support.small_proxy import Reply, SmallProxy, answer, field, serving_udp


@pytest.fixture(scope="module", autouse=True)
def generator() -> None:
    require_generator()


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
async def test_a_faultless_proxy_gives_figures_and_no_error(tcp: bool) -> None:
    proxy = SmallProxy()
    report = await load(proxy, "--pairs", "3", "--window", "4", "--both-ways", "--tree", str(os.getpid()), tcp=tcp)
    assert report["error"] is None
    assert number(report, "messages") > 0
    assert number(report, "cpu_us") > 0
    assert report["sent"] == report["ok"] == report["delivered"]
    assert report["duplicates"] == report["redelivered"] == report["strays"] == 0
    assert 0 < number(report, "p50_us") <= number(report, "p99_us")


async def test_users_leave_no_binding_behind() -> None:
    proxy = SmallProxy()
    await load(proxy, "--pairs", "20")
    assert proxy.bindings == {}


async def test_messages_in_pieces_of_seven_octets_are_read_from_a_stream() -> None:
    assert (await load(SmallProxy(), "--window", "3", tcp=True, piece=7))["error"] is None


async def test_a_message_has_the_size_that_is_asked_for_and_about_450_octets_of_head() -> None:
    proxy = SmallProxy()
    await load(proxy, "--size", "300")
    head, _, body = proxy.requests[0].partition(b"\r\n\r\n")
    assert len(body) == 300 == int(field(proxy.requests[0], "Content-Length"))
    assert 350 < len(head) < 500


async def test_the_answer_copies_all_vias_and_fills_in_the_rport_of_the_topmost() -> None:
    proxy = SmallProxy()
    await load(proxy)
    vias = re.findall(r"\r\nVia: ([^\r]*)", proxy.responses[0].decode())
    assert re.fullmatch(r"SIP/2.0/UDP 127.0.0.1:5060;rport=\d+;received=127.0.0.1;branch=z9hG4bKp\w+", vias[0])
    assert vias[1] == field(proxy.requests[0], "Via")
    assert field(proxy.responses[0], "To").startswith(field(proxy.requests[0], "To") + ";tag=")
    for name in ("From", "Call-ID", "CSeq"):
        assert field(proxy.responses[0], name) == field(proxy.requests[0], name)


async def test_no_two_messages_have_a_branch_or_call_id_in_common() -> None:
    proxy = SmallProxy()
    await load(proxy, "--window", "4")
    await load(proxy, "--window", "4")
    for name in ("Via", "Call-ID"):
        assert len({field(request, name) for request in proxy.requests}) == len(proxy.requests)


class Losing(SmallProxy):
    """Loses every fifth request, and every seventh response."""

    def relay(self, request: bytes, user: str, reply: Reply) -> None:
        if len(self.requests) % 5:
            self.deliver(request, user, lambda response: None if len(self.responses) % 7 == 0 else reply(response))


async def test_what_is_lost_is_sent_again_and_no_duplicate_is_counted_for_it() -> None:
    report = await load(Losing(), "--window", "4", "--t1", "0.05")
    assert report["error"] is None
    assert number(report, "retransmissions") > 0
    assert number(report, "redelivered") > 0
    assert report["duplicates"] == report["timeouts"] == 0


class Silent(SmallProxy):
    """Answers nothing."""

    def relay(self, request: bytes, user: str, reply: Reply) -> None:
        pass


async def test_an_unanswered_request_is_repeated_by_timer_e_and_ends_with_timer_f() -> None:
    proxy = Silent()
    report = await load(proxy, "--t1", "0.05", "--drain", "5")
    (copies,) = Counter(proxy.requests).values()
    assert copies in range(9, 12)  # 11, less when the machine was busy
    assert report["retransmissions"] == copies - 1
    assert report["timeouts"] == 1
    assert report["error"] == "1 messages were not answered"


async def test_over_tcp_nothing_is_repeated() -> None:
    proxy = Silent()
    report = await load(proxy, "--t1", "0.01", "--drain", "5", tcp=True)
    assert len(proxy.requests) == 1
    assert report["timeouts"] == 1


class Trying(SmallProxy):
    """Answers 100, and nothing else."""

    def relay(self, request: bytes, user: str, reply: Reply) -> None:
        reply(answer(request, "100 Trying"))


async def test_after_a_provisional_response_timer_e_is_t2() -> None:
    proxy = Trying()
    await load(proxy, "--t1", "0.02", "--drain", "5")
    assert len(proxy.requests) in range(7, 10)  # at 0, T1, and then every 8 T1 until 64 T1


class Doubling(SmallProxy):
    """Delivers the tenth message a second time, as another transaction."""

    def relay(self, request: bytes, user: str, reply: Reply) -> None:
        self.deliver(request, user, reply)
        if len(self.requests) == 10:
            self.deliver(request, user, reply, branch="b")


async def test_a_message_that_is_delivered_twice_is_noticed() -> None:
    report = await load(Doubling())
    assert report["error"] == "1 messages were delivered twice"
    assert report["duplicates"] == 1


class Repeating(SmallProxy):
    """Sends the tenth message again, as the same transaction."""

    def relay(self, request: bytes, user: str, reply: Reply) -> None:
        self.deliver(request, user, reply)
        if len(self.requests) == 10:
            self.deliver(request, user, reply)


async def test_a_retransmission_is_no_duplicate_and_gets_the_same_answer() -> None:
    proxy = Repeating()
    report = await load(proxy)
    assert report["error"] is None
    assert report["redelivered"] == 1
    assert Counter(proxy.responses).most_common(1)[0][1] == 2


class Damaging(SmallProxy):
    """Changes one octet of a body."""

    def relay(self, request: bytes, user: str, reply: Reply) -> None:
        self.deliver(request[:-1] + b"!", user, reply)


class Misdelivering(SmallProxy):
    """Gives a message back to its sender."""

    def relay(self, request: bytes, user: str, reply: Reply) -> None:
        self.deliver(request, "alice1", reply)


@pytest.mark.parametrize("proxy", [Damaging(), Misdelivering()], ids=["damaged", "misdelivered"])
async def test_a_message_that_arrives_wrong_is_noticed(proxy: SmallProxy) -> None:
    assert "arrived damaged or at somebody else" in str((await load(proxy))["error"])


class Answering(SmallProxy):
    """Answers itself and delivers nothing."""

    def __init__(self, status: str) -> None:
        super().__init__()
        self._status = status

    def relay(self, request: bytes, user: str, reply: Reply) -> None:
        reply(answer(request, self._status))


@pytest.mark.parametrize(
    ("status", "member", "error"),
    [
        ("202 Accepted", "accepted", None),
        ("404 Not Found", "client_errors", "status 404"),
        ("500 Server Internal Error", "server_errors", "status 500"),
        ("503 Service Unavailable", "unavailable", "status 503"),
        ("603 Decline", "other", "status 603"),
    ],
)
async def test_answers_are_counted_by_their_kind(status: str, member: str, error: str | None) -> None:
    report = await load(Answering(status))
    assert report["error"] == error
    assert report[member] == report["sent"]


async def test_a_200_to_a_message_that_did_not_arrive_is_noticed() -> None:
    assert "answered 200 that did not arrive" in str((await load(Answering("200 OK")))["error"])


async def test_a_rate_is_kept_whatever_the_server_does() -> None:
    report = await load(Silent(), "--rate", "500", "--window", "0", "--drain", "0")
    assert number(report, "sent") in range(80, 111)


class Babbling(SmallProxy):
    """Answers with something that is not SIP."""

    def relay(self, request: bytes, user: str, reply: Reply) -> None:
        reply(b"HTTP/1.1 200 OK\r\n\r\n")


async def test_what_is_not_sip_ends_a_run_over_tcp() -> None:
    assert (await load(Babbling(), tcp=True))["error"] == "the server sent something that is not SIP"


async def test_a_report_is_one_json_object_whatever_happened() -> None:
    async with serving_udp(Silent()) as port:
        process = await asyncio.create_subprocess_exec(
            "bench/.build/sipload/sipload", "--port", str(port), "--duration", "0.1", "--drain", "0",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, _ = await process.communicate()
    assert json.loads(output)["error"] == "1 messages were not answered"
    assert process.returncode == 1
