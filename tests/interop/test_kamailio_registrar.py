"""The SIP load generator and the Kamailio that it is beside us in ``make bench-sip``: both do what the rows say."""

import pytest

from bench.generator import SIPLOAD, Report, build, number, run
from bench.sip_kamailio import DOMAIN, PASSWORD, running_registrar
from tests.support.peers import require_peer


@pytest.fixture(scope="module", autouse=True)
def generator() -> None:
    for program in ("kamailio", "gcc", "make"):
        require_peer(program)
    build(SIPLOAD)


def load(port: int, pid: int, *options: str) -> Report:
    arguments = ["--port", str(port), "--tree", str(pid), "--domain", DOMAIN, "--password", PASSWORD]
    return run([*arguments, "--duration", "0.2", "--warm-up", "0", "--drain", "5", *options], SIPLOAD)


def test_messages_between_registered_users_are_relayed_over_udp_and_tcp_one_run_after_the_other() -> None:
    with running_registrar() as kamailio:
        for transport in ((), ("--tcp",), ()):
            report = load(kamailio.port, kamailio.pid, "--pairs", "10", "--window", "4", *transport)
            assert report["error"] is None
            assert report["delivered"] == report["ok"] == report["sent"]
            assert number(report, "cpu_us") > 0


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_registrations_are_challenged_with_the_algorithm_and_wrong_passwords_refused(algorithm: str) -> None:
    options = ("--mode", "register", "--users", "10", "--algorithm", algorithm)
    with running_registrar(algorithm=algorithm) as kamailio:
        report = load(kamailio.port, kamailio.pid, *options)
        assert report["error"] is None
        assert number(report, "challenges") >= number(report, "registrations") - 32
        assert load(kamailio.port, kamailio.pid, *options, "--password", "wrong")["error"] == (
            "a REGISTER was answered 401"
        )


def test_registrations_that_are_held_cost_memory() -> None:
    with running_registrar() as kamailio:
        report = load(kamailio.port, kamailio.pid, "--mode", "hold", "--users", "500", "--hold", "0")
    assert report["error"] is None
    assert number(report, "bytes_per_registration") > 200
