"""The SIP load generator's other modes: registrations, memory, overload."""

import os

import pytest

from bench.generator import Report, number
from tests.support.sipload import load, require_generator
from tests.support.small_proxy import Reply, SmallProxy, answer


@pytest.fixture(scope="module", autouse=True)
def generator() -> None:
    require_generator()


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
@pytest.mark.parametrize("offered", [("SHA-256", "MD5"), ("MD5", "SHA-256")])
async def test_of_two_challenges_that_of_the_algorithm_is_answered(algorithm: str, offered: tuple[str, ...]) -> None:
    proxy = SmallProxy(*offered)
    report = await load(proxy, "--mode", "register", "--users", "5", "--algorithm", algorithm)
    assert report["error"] is None
    assert number(report, "registrations") > 0
    assert set(proxy.nonce_counts) == {"00000001"}


async def test_a_nonce_that_is_used_again_counts_on() -> None:
    proxy = SmallProxy("MD5")
    report = await load(proxy, "--mode", "register", "--users", "1", "--algorithm", "MD5", "--reuse-nonce")
    assert report["error"] is None
    assert report["challenges"] == 0
    assert proxy.nonce_counts[:3] == ["00000001", "00000002", "00000003"]


@pytest.mark.parametrize("options", [(), ("--algorithm", "MD5", "--password", "wrong")], ids=["none", "wrong"])
async def test_refused_credentials_end_the_run_after_one_attempt(options: tuple[str, ...]) -> None:
    proxy = SmallProxy("MD5")
    assert (await load(proxy, *options))["error"] == "a REGISTER was answered 401"
    assert len(proxy.nonce_counts) <= 2


class Forgetful(SmallProxy):
    """Answers REGISTER 200 without the binding."""

    def listed(self, request: bytes) -> list[str]:
        return []


async def test_a_registration_that_is_not_listed_is_noticed() -> None:
    assert "without the binding" in str(
        (await load(Forgetful(), "--mode", "hold", "--users", "4", "--hold", "0"))["error"]
    )


async def test_held_registrations_are_all_there_and_share_sockets() -> None:
    proxy = SmallProxy()
    options = ("--mode", "hold", "--users", "50", "--users-per-socket", "10", "--hold", "0")
    report = await load(proxy, *options, "--tree", str(os.getpid()))
    assert report["error"] is None
    assert report["registrations"] == 50


async def test_so_many_transactions_are_made_as_were_asked_for_and_a_tenth_before() -> None:
    proxy = SmallProxy()
    report = await load(proxy, "--mode", "transactions", "--messages", "200", "--hold", "0", "--window", "4")
    assert report["error"] is None
    assert report["sent"] == len(proxy.requests) == 200 + 21


class Overloaded(SmallProxy):
    """Delivers one in three, refuses one, ignores one, until it has seen so many."""

    def __init__(self, until: int) -> None:
        super().__init__()
        self._until = until

    def relay(self, request: bytes, user: str, reply: Reply) -> None:
        count = len(self.requests)
        if count > self._until or count % 3 == 0:
            self.deliver(request, user, reply)
        elif count % 3 == 1:
            reply(answer(request, "503 Service Unavailable"))


OVERLOAD = ("--mode", "overload", "--rate", "300", "--duration", "1", "--recovery", "2", "--drain", "0.3")


def by_second(report: Report, name: str) -> list[float]:
    values = report[f"{name}_by_second"]
    assert isinstance(values, list)
    return values


async def test_an_overload_tells_of_each_second_what_was_answered_refused_and_ignored() -> None:
    report = await load(Overloaded(300), *OVERLOAD, "--recovery-rate", "50")
    assert report["error"] is None
    sent = by_second(report, "sent")
    assert sent[0] == pytest.approx(300, abs=5)
    assert sent[1:] == [pytest.approx(50, abs=5)] * 2
    for name in ("answered", "refused", "unanswered"):
        assert by_second(report, name)[0] == pytest.approx(100, abs=10), name
    assert by_second(report, "unanswered")[1:] == [0, 0]
    assert report["retransmissions"] == 0
    assert number(report, "recovery_seconds") < 0.5


async def test_recovery_lasts_until_the_last_message_that_was_not_answered_at_once() -> None:
    report = await load(Overloaded(350), *OVERLOAD, "--recovery-rate", "50")
    assert number(report, "recovery_seconds") == pytest.approx(1.0, abs=0.25)


async def test_an_overload_repeats_nothing_unless_asked() -> None:
    report = await load(Overloaded(10_000), *OVERLOAD, "--t1", "0.05", "--retransmit")
    assert number(report, "retransmissions") > 0
