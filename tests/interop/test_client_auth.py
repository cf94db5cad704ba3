"""Our client's AUTH at a real relay with another dialect of digest (interoperability facts 1, 4 and 5)."""

import asyncio
import secrets
from collections.abc import Iterator

import pytest

from tests.support.kamailio import PASSWORD, REALM, USERNAME, Kamailio, running_kamailio
from tests.support.peers import require_peer
from wigwag.protocols.msrp import FrameParser, HeadReceived, Limits, MsrpUri, ResponseHead
from wigwag.protocols.msrp.authentication import Authenticated, AuthenticationFailed, RelayAuthentication

DEADLINE = 10.0


@pytest.fixture(scope="module")
def kamailio() -> Iterator[Kamailio]:
    require_peer("kamailio", "/usr/sbin")
    with running_kamailio() as running:
        yield running


async def authenticate(relay: Kamailio, password: str) -> tuple[Authenticated | AuthenticationFailed, list[bytes]]:
    """Return how the AUTH ended and the requests that it took."""
    own = MsrpUri.parse(f"msrp://127.0.0.1:9/{secrets.token_hex(8)};tcp")
    machine = RelayAuthentication(USERNAME, password, (MsrpUri.parse(relay.uri),), own, random=secrets.token_bytes)
    async with asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection(relay.host, relay.port)
        outcome: bytes | Authenticated | AuthenticationFailed = machine.start()
        sent = []
        while isinstance(outcome, bytes):
            writer.write(outcome)
            sent.append(outcome)
            outcome = machine.receive(await response(reader))
        writer.close()
        await writer.wait_closed()
    return outcome, sent


async def response(reader: asyncio.StreamReader) -> ResponseHead:
    parser = FrameParser(Limits())
    while True:
        data = await reader.readuntil(b"$\r\n")
        for event in parser.feed(data)[0]:
            if isinstance(event, HeadReceived) and isinstance(event.head, ResponseHead):
                return event.head


@pytest.mark.peer("kamailio")
async def test_kamailio_grants_a_path_once_uri_is_named(kamailio: Kamailio) -> None:
    outcome, sent = await authenticate(kamailio, PASSWORD)
    assert isinstance(outcome, Authenticated)
    assert outcome.use_path[0].host == kamailio.host
    assert not outcome.relay_verified
    assert [b" uri=" in request for request in sent] == [False, False, True]
    assert f'realm="{REALM}"'.encode() in sent[-1]


@pytest.mark.peer("kamailio")
async def test_kamailio_refuses_a_wrong_password_and_the_client_stops(kamailio: Kamailio) -> None:
    outcome, sent = await authenticate(kamailio, "wrong")
    assert outcome == AuthenticationFailed(status=401, reason="wrong user name or password")
    assert len(sent) == 3
