"""JsSIP and SIP.js, the SIP clients of browsers, register, exchange messages and set up sessions over WebSocket."""

import pytest

from tests.support.edge_under_test import SipEdge
from tests.support.node_client import CLIENTS, NodeClient, node_client, registered

SDP = (
    "v=0\r\no={user} 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=message 2855 TCP/MSRP *\r\na=accept-types:message/cpim text/plain\r\n"
    "a=path:msrp://127.0.0.1:2855/{user};tcp\r\na=setup:active\r\n"
)
ALICE, BOB = SDP.format(user="alice"), SDP.format(user="bob")
OTHER = {"jssip": "sipjs", "sipjs": "jssip"}


def lines(sdp: str) -> list[str]:
    return sdp.replace("\r", "").strip().split("\n")


async def exchange(sender: NodeClient, receiver: NodeClient, edge: SipEdge, to: str, text: str) -> None:
    sender.do("message", to=edge.aor(to), text=text)
    assert (await receiver.event("message"))["text"] == text
    assert (await sender.event("sent", "refused"))["status"] == 200


@pytest.mark.parametrize("transport", ["ws", "wss"])
@pytest.mark.parametrize("kind", CLIENTS)
async def test_a_client_registers_again_over_the_same_connection_and_has_one_binding(
    edge: SipEdge, kind: str, transport: str
) -> None:
    async with node_client(kind, edge, "alice", transport=transport) as client:
        for round_number in (1, 2):
            client.do("register")
            told = await client.event("registered", "registration_failed")
            assert told["round"] == round_number
            assert len(told["contacts"]) == 1
        client.do("unregister")
        await client.event("unregistered")


@pytest.mark.parametrize("kind", CLIENTS)
async def test_a_wrong_password_registers_nobody(edge: SipEdge, kind: str) -> None:
    async with node_client(kind, edge, "alice", password="wrong") as client:
        client.do("register")
        assert (await client.event("registered", "registration_failed"))["status"] in (401, 403)


@pytest.mark.parametrize("kind", CLIENTS)
async def test_messages_pass_both_ways_between_clients_on_ws_and_wss(edge: SipEdge, kind: str) -> None:
    async with (
        registered(kind, edge, "alice", transport="ws") as alice,
        registered(OTHER[kind], edge, "bob", transport="wss") as bob,
    ):
        await exchange(alice, bob, edge, "bob", "hello")
        await exchange(bob, alice, edge, "alice", "Grüße, 你好")


@pytest.mark.parametrize("kind", CLIENTS)
async def test_the_sender_of_a_message_is_who_authenticated(edge: SipEdge, kind: str) -> None:
    async with registered(kind, edge, "alice") as alice, registered(kind, edge, "bob") as bob:
        alice.do("message", to=edge.aor("bob"), text="<b>hi</b>", type="text/html")
        told = await bob.event("message")
        assert told["from"] == edge.aor("alice")
        assert told["type"] == "text/html"


@pytest.mark.parametrize("kind", CLIENTS)
async def test_a_message_to_a_user_who_unregistered_is_answered_480(edge: SipEdge, kind: str) -> None:
    async with registered(kind, edge, "alice") as alice, registered(kind, edge, "bob") as bob:
        bob.do("unregister")
        await bob.event("unregistered")
        alice.do("message", to=edge.aor("bob"), text="are you there?")
        assert (await alice.event("sent", "refused"))["status"] == 480


@pytest.mark.parametrize("kind", CLIENTS)
async def test_sdp_of_an_msrp_session_arrives_as_it_was_written_and_the_session_ends_with_bye(
    edge: SipEdge, kind: str
) -> None:
    async with (
        registered(kind, edge, "alice", sdp=ALICE) as alice,
        registered(OTHER[kind], edge, "bob", transport="wss", sdp=BOB) as bob,
    ):
        alice.do("invite", to=edge.aor("bob"))
        assert lines((await bob.event("invited"))["sdp"]) == lines(ALICE)
        bob.do("answer")
        assert lines((await alice.event("accepted"))["sdp"]) == lines(BOB)
        await bob.event("confirmed")
        alice.do("reinvite")
        assert lines((await bob.event("reinvited"))["sdp"]) == lines(ALICE)
        await alice.event("renegotiated")
        bob.do("hangup")
        await alice.event("ended")


@pytest.mark.parametrize("kind", CLIENTS)
async def test_a_caller_who_cancels_is_told_487_and_the_phone_stops_ringing(edge: SipEdge, kind: str) -> None:
    async with (
        registered(kind, edge, "alice", sdp=ALICE) as alice,
        registered(OTHER[kind], edge, "bob", sdp=BOB) as bob,
    ):
        alice.do("invite", to=edge.aor("bob"))
        await bob.event("invited")
        await alice.event("progress")
        alice.do("cancel")
        await bob.event("cancelled", "failed")
        await alice.event("failed")


@pytest.mark.parametrize("kind", CLIENTS)
async def test_a_refusal_reaches_the_caller_with_its_status(edge: SipEdge, kind: str) -> None:
    async with (
        registered(kind, edge, "alice", sdp=ALICE) as alice,
        registered(OTHER[kind], edge, "bob", sdp=BOB) as bob,
    ):
        alice.do("invite", to=edge.aor("bob"))
        await bob.event("invited")
        bob.do("reject", status=486)
        assert (await alice.event("failed"))["status"] == 486
