"""A drain of SIP, by a clock turned by hand."""

import asyncio

import pytest

from tests.support.sip_edge import DOMAIN, EdgeUnderTest, SipClient
from wigwag.protocols.sip import Request
from wigwag.relay.sip.draining import ANSWERS_AWAITED, STEP, SipDrain


class DrainedEdge:
    """An edge that is drained."""

    def __init__(self, pace: int = 100) -> None:
        self.edge = EdgeUnderTest()
        self.began = self.edge.runtime.time
        self.closed: dict[int, float] = {}
        self.clients: list[SipClient] = []
        self.drain = SipDrain(
            self.edge.edge, pace=pace, pause=self._pause, clock=lambda: self.edge.runtime.time, seed=1
        )

    async def _pause(self, seconds: float) -> None:
        self.edge.pass_time(seconds)
        for client in self.clients:
            if client.flow is not None and client.connection.closed and client.flow.is_open:
                self.closed[client.connection.id] = self.edge.runtime.time - self.began
                client.disconnect()
        await asyncio.sleep(0)

    def client(self, user: str, kind: str = "tcp") -> SipClient:
        self.clients.append(SipClient(self.edge, user, kind=kind))
        return self.clients[-1]


async def asked(drained: DrainedEdge) -> tuple[SipClient, SipClient, Request]:
    """Have alice send bob a MESSAGE that he has not answered yet; both use TCP."""
    alice, bob = drained.client("alice"), drained.client("bob")
    await alice.register()
    await bob.register()
    message = alice.message("bob")
    alice.send(message)
    alice.send(alice.authenticated(message, alice.response()))
    await drained.edge.settle()
    return alice, bob, bob.incoming()


async def test_connections_are_closed_at_the_pace_in_no_order() -> None:
    drained = DrainedEdge(pace=10)
    for _ in range(20):
        drained.client("alice")
    await drained.drain.run(30.0)
    await drained._pause(STEP)
    assert len(drained.closed) == 20
    assert max(drained.closed.values()) == pytest.approx(2.0, abs=0.3)
    assert list(drained.closed) != sorted(drained.closed)
    assert {client.connection.closed for client in drained.clients} == {"draining"}


async def test_a_message_that_is_under_way_is_answered_before_its_connections_close() -> None:
    drained = DrainedEdge()
    alice, bob, incoming = await asked(drained)
    running = asyncio.ensure_future(drained.drain.run(30.0))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not alice.connection.closed
    bob.answer(incoming)
    await running
    assert alice.response().status == 200
    assert alice.connection.closed
    assert bob.connection.closed


async def test_what_is_never_answered_ends_with_the_grace_time() -> None:
    drained = DrainedEdge()
    alice, bob, _ = await asked(drained)
    await drained.drain.run(10.0)
    assert alice.connection.closed
    assert bob.connection.closed
    assert drained.edge.runtime.time - drained.began <= 10.0 + STEP


async def test_a_drain_that_is_called_off_serves_connections_again() -> None:
    drained = DrainedEdge()
    alice, _, _ = await asked(drained)
    running = asyncio.ensure_future(drained.drain.run(3600.0))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    alice.send(alice.message("bob"))
    assert alice.response().status == 407
    assert not alice.connection.closed


async def test_at_the_end_an_invite_that_rings_is_called_off_and_its_caller_told() -> None:
    drained = DrainedEdge()
    alice, bob = drained.client("alice", "udp"), drained.client("bob", "udp")
    await alice.register()
    await bob.register()
    invite = alice.request("INVITE", f"sip:bob@{DOMAIN}", [("Contact", f"<{alice.contact}>")])
    alice.send(invite)
    await drained.edge.settle()
    alice.send(alice.authenticated(invite, alice.response()))
    await drained.edge.settle()
    bob.answer(bob.incoming(), 180, "Ringing")
    await drained.drain.finish()
    methods = [message.method for message in bob.received() if isinstance(message, Request)]
    assert "CANCEL" in methods
    assert alice.received()[-1].start_line.startswith("SIP/2.0 408")
    assert drained.drain.open_transactions == 0


async def test_at_the_end_what_is_new_goes_unanswered_and_what_is_open_gets_its_answer() -> None:
    drained = DrainedEdge()
    alice, bob = drained.client("alice", "udp"), drained.client("bob", "udp")
    await alice.register()
    await bob.register()
    message = alice.message("bob")
    alice.send(message)
    signed = alice.authenticated(message, alice.response())
    alice.send(signed)
    await drained.edge.settle()
    incoming = bob.incoming()
    finishing = asyncio.ensure_future(drained.drain.finish())
    await asyncio.sleep(0)
    alice.send(alice.message("bob"))
    assert alice.received() == []
    bob.answer(incoming)
    await finishing
    assert alice.response().status == 200
    assert drained.edge.runtime.time - drained.began < ANSWERS_AWAITED
