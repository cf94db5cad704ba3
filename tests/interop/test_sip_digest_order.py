"""Which peers get in where SHA-256 is offered before MD5, as it is by default (RFC 8760 section 2.4).

A client should take the first challenge that it knows. SIPp and sipsak read the first one only, JsSIP and SIP.js the
last one only, and all of these know MD5 alone. So the default order serves browsers, MD5 alone serves everybody
(``relay.domain_digest_algorithms``).
"""

from collections.abc import Iterator

import pytest

from tests.support.edge_under_test import SipEdge
from tests.support.linphone import linphone
from tests.support.node_client import CLIENTS, registered
from tests.support.sipp import run_sipp
from tests.support.sipsak import register
from tests.support.wigwag_sip import wigwag_edge


@pytest.fixture(scope="module")
def strict_edge() -> Iterator[SipEdge]:
    """Our edge with its default algorithms."""
    with wigwag_edge() as running:
        yield running


def test_linphone_registers_and_writes(strict_edge: SipEdge) -> None:
    with linphone(strict_edge, "alice") as alice, linphone(strict_edge, "bob", transport="udp") as bob:
        alice.send(strict_edge.aor("bob"), "hello")
        bob.wait_until_received("hello")
        alice.wait_until_delivered()
        assert "algorithm=SHA-256" in alice.log


@pytest.mark.parametrize("kind", CLIENTS)
async def test_clients_of_browsers_register_since_md5_is_offered_last(strict_edge: SipEdge, kind: str) -> None:
    async with registered(kind, strict_edge, "alice"):
        pass


def test_sipp_and_sipsak_do_not_get_in(strict_edge: SipEdge) -> None:
    assert "MD5" in run_sipp("register", strict_edge, "alice").errors
    result = register(strict_edge, "alice", strict_edge.users["alice"])
    assert "unsupported authentication algorithm" in result.stdout + result.stderr
