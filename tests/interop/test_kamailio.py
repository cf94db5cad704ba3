"""Our relay and Kamailio's msrp module pass each other's messages on (RFC 4976).

All endpoints are our own engine. What Kamailio can't do shapes the arrangements:

* Its answer to AUTH names itself alone in Use-Path, so a client puts it behind what it was granted before.
  Addressed to the previous hop alone, that answer never gets through a second Kamailio.
* It tells one direction from the other by the number of URIs left in To-Path: whoever sits behind it has AUTHed there,
  it does not serve a peer without a relay at the far end of a chain.
* It takes no body of more than 10 KiB in one chunk, and finds a connection by the address in a URI.
"""

from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack

import pytest

from tests.support.kamailio import PASSWORD as KAMAILIO_PASSWORD
from tests.support.kamailio import USERNAME as KAMAILIO_USERNAME
from tests.support.kamailio import running_kamailio
from tests.support.msrp_endpoint import AuthError, MsrpClient, connected
from tests.support.peers import require_peer
from tests.support.relay_process import PASSWORD, USERNAME, running_relay
from wigwag.protocols.msrp import ConnectionLimits, DeliverySucceeded, MessageCompleted, MsrpUri, Session

CHUNK = 8192
"""Octets of a body that Kamailio takes in one piece, with room to spare."""
MEGABYTE = bytes(range(256)) * 4096


@pytest.fixture(scope="module")
def relays() -> Iterator[dict[str, str]]:
    """URIs of two relays of ours and two Kamailios."""
    require_peer("kamailio")
    with ExitStack() as stack:
        ours = {f"ours{index}": stack.enter_context(running_relay("tcp")).uri("tcp") for index in (1, 2)}
        theirs = {f"kamailio{index}": stack.enter_context(running_kamailio()).uri for index in (1, 2)}
        yield ours | theirs


class Party:
    """Endpoints of one test, each with the relays that it AUTHed at."""

    def __init__(self, relays: dict[str, str], stack: AsyncExitStack) -> None:
        self._relays = relays
        self._stack = stack

    async def client(self, *chain: str, at: str = "") -> MsrpClient:
        """Connect a client to the first relay, or ``at`` one, and AUTH at each of the chain through those before."""
        relay = self._relays[at or chain[0]]
        client = await self._stack.enter_async_context(connected(relay, ConnectionLimits(largest_chunk=CHUNK)))
        for name in chain:
            await self.authenticate(client, name)
        return client

    async def authenticate(self, client: MsrpClient, name: str, password: str | None = None) -> None:
        """AUTH at one more relay."""
        known = (KAMAILIO_USERNAME, KAMAILIO_PASSWORD) if name.startswith("kamailio") else (USERNAME, PASSWORD)
        await client.authenticate(known[0], password or known[1], MsrpUri.parse(self._relays[name]))


async def talk(active: MsrpClient, passive: MsrpClient) -> None:
    """Open a session and let both sides say something that is confirmed to have arrived."""
    waiting = await passive.open_session(active.path, passive=True)
    opening = await active.open_session(passive.path, passive=False)
    await deliver(active, opening, passive, b"hello")
    await deliver(passive, waiting, active, b"\r\n-------d93kswow$\r\n\x00\xff")
    await deliver(active, opening, passive, b"")


async def deliver(sender: MsrpClient, session: Session, receiver: MsrpClient, body: bytes) -> None:
    message_id = await sender.send(session, body, success_report=True)
    assert await receiver.received(message_id) == body
    assert (await sender.event(DeliverySucceeded, message_id=message_id)).total == len(body)


async def deliver_large(sender: MsrpClient, session: Session, receiver: MsrpClient, body: bytes) -> None:
    message_id = await sender.send(session, body, success_report=True)
    assert (await receiver.event(MessageCompleted, message_id=message_id)).total == len(body)
    assert receiver.octets(message_id) == body
    assert (await sender.event(DeliverySucceeded, message_id=message_id)).total == len(body)


@pytest.mark.parametrize(
    ("active", "passive"), [("ours1", "kamailio1"), ("kamailio1", "ours1")], ids=["we_open", "kamailio_opens"]
)
async def test_a_client_of_ours_and_one_of_kamailio_talk_and_get_success_reports(
    relays: dict[str, str], active: str, passive: str
) -> None:
    async with AsyncExitStack() as stack:
        party = Party(relays, stack)
        await talk(await party.client(active), await party.client(passive))


async def test_a_megabyte_passes_between_ours_and_kamailio_both_ways(relays: dict[str, str]) -> None:
    async with AsyncExitStack() as stack:
        party = Party(relays, stack)
        alice, bob = await party.client("ours1"), await party.client("kamailio1")
        waiting = await bob.open_session(alice.path, passive=True)
        opening = await alice.open_session(bob.path, passive=False)
        await deliver_large(alice, opening, bob, MEGABYTE)
        await deliver_large(bob, waiting, alice, MEGABYTE)


async def test_a_client_authenticates_at_ours_kamailio_and_ours_and_talks_through_all_three(
    relays: dict[str, str],
) -> None:
    async with AsyncExitStack() as stack:
        party = Party(relays, stack)
        alice, bob = await party.client("ours1", "kamailio1", "ours2"), await party.client("ours2")
        assert [uri.port for uri in alice.use_path] == ports(relays, "ours1", "kamailio1", "ours2")
        await talk(alice, bob)


async def test_a_client_authenticates_at_kamailio_ours_and_kamailio_and_talks_through_all_three(
    relays: dict[str, str],
) -> None:
    async with AsyncExitStack() as stack:
        party = Party(relays, stack)
        alice, bob = await party.client("kamailio1", "ours1", "kamailio2"), await party.client("ours2")
        assert [uri.port for uri in alice.use_path] == ports(relays, "kamailio1", "ours1", "kamailio2")
        await talk(alice, bob)


async def test_two_clients_of_two_kamailios_talk_with_ours_between_them(relays: dict[str, str]) -> None:
    async with AsyncExitStack() as stack:
        party = Party(relays, stack)
        await talk(await party.client("kamailio1", "ours1"), await party.client("kamailio2"))


async def test_a_peer_without_a_relay_reaches_a_client_behind_ours_kamailio_and_ours(relays: dict[str, str]) -> None:
    async with AsyncExitStack() as stack:
        party = Party(relays, stack)
        alice = await party.client("ours1", "kamailio1", "ours2")
        bob = await party.client(at="ours2")
        await talk(bob, alice)


@pytest.mark.parametrize(("through", "at"), [("ours1", "kamailio1"), ("kamailio1", "ours1")])
async def test_a_wrong_password_is_refused_through_another_relay(relays: dict[str, str], through: str, at: str) -> None:
    async with AsyncExitStack() as stack:
        party = Party(relays, stack)
        client = await party.client(through)
        with pytest.raises(AuthError, match="401"):
            await party.authenticate(client, at, "wrong")
        assert [uri.port for uri in client.use_path] == ports(relays, through)


def ports(relays: dict[str, str], *names: str) -> list[int | None]:
    return [MsrpUri.parse(relays[name]).port for name in names]
