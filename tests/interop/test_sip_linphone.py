"""Linphone registers and writes through the edge; what it sends about messages arrives octet for octet."""

import asyncio
from typing import Final

import pytest

from tests.support.edge_under_test import SipEdge
from tests.support.linphone import linphone
from tests.support.node_client import registered

TRANSPORTS: Final = ("udp", "tcp", "tls")
CPIM: Final = (
    "From: <sip:carol@edge.example>\r\nTo: <sip:bob@edge.example>\r\nDateTime: 2026-11-25T22:00:00Z\r\n"
    "NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: 34jk324j\r\n"
    "imdn.Disposition-Notification: positive-delivery\r\n\r\n"
    "Content-Type: text/plain; charset=utf-8\r\n\r\nwrapped"
)
COMPOSING: Final = (
    '<?xml version="1.0" encoding="UTF-8"?><isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing">'
    "<state>active</state><contenttype>text/plain</contenttype><refresh>60</refresh></isComposing>"
)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_message_between_two_linphones_is_confirmed_by_an_imdn(edge: SipEdge, transport: str) -> None:
    with linphone(edge, "alice", transport=transport) as alice, linphone(edge, "bob") as bob:
        alice.send(edge.aor("bob"), "hello from alice")
        bob.wait_until_received("hello from alice")
        alice.wait_until_delivered()
        bob.send(edge.aor("alice"), "hello from bob")
        alice.wait_until_received("hello from bob")
        bob.wait_until_delivered()


def test_a_wrong_password_fails_the_registration(edge: SipEdge) -> None:
    with linphone(edge, "alice", password="wrong", state="Failed"):
        pass


def test_a_message_to_an_absent_user_is_told_as_not_delivered(edge: SipEdge) -> None:
    with linphone(edge, "alice") as alice:
        alice.send(edge.aor("carol"), "are you there?")
        alice.wait_until_told("LinphoneChatMessageStateNotDelivered")


async def test_a_message_in_cpim_is_read_by_linphone_which_confirms_it_by_an_imdn(edge: SipEdge) -> None:
    with linphone(edge, "bob") as bob:
        async with registered("sipjs", edge, "carol") as carol:
            carol.do("message", to=edge.aor("bob"), text=CPIM, type="message/cpim")
            assert (await carol.event("sent", "refused"))["status"] == 200
            await asyncio.to_thread(bob.wait_until_received, "wrapped")
            imdn = await carol.event("message")
            assert imdn["type"] in ("message/imdn+xml", "message/cpim")


async def test_linphone_learns_that_its_peer_composes_without_taking_it_for_a_message(edge: SipEdge) -> None:
    with linphone(edge, "bob") as bob:
        async with registered("jssip", edge, "carol") as carol:
            carol.do("message", to=edge.aor("bob"), text=COMPOSING, type="application/im-iscomposing+xml")
            assert (await carol.event("sent", "refused"))["status"] == 200
            await asyncio.to_thread(bob.wait_until_logged, COMPOSING)
            carol.do("message", to=edge.aor("bob"), text="composed")
            await asyncio.to_thread(bob.wait_until_received, "composed")
            assert bob.told.count("message-received") == 1
