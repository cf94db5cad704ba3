"""What strangers get out of the edge: little, equal for all, and no ban for others."""

import re

import pytest

from tests.support.sip_edge import DOMAIN, TRUSTED, EdgeUnderTest, SipClient
from wigwag.protocols.sip import Request, Response


def rest_of(response: Response) -> str:
    """What a response says beside what it repeats of the request."""
    repeated = ("via:", "from:", "to:", "call-id:", "cseq:")
    lines = bytes(response).decode().split("\r\n")
    return "\n".join(re.sub('nonce="[^"]*"', "", line) for line in lines if not line.lower().startswith(repeated))


@pytest.mark.parametrize("method", ["MESSAGE", "INVITE", "OPTIONS", "SUBSCRIBE"])
async def test_nobody_learns_without_credentials_who_is_a_user(method: str) -> None:
    edge = EdgeUnderTest()
    bob = SipClient(edge, "bob", kind="tcp")
    await bob.register()
    answers = set()
    for port, callee in ((5998, "bob"), (5999, "eve")):
        client = SipClient(edge, "alice", host="203.0.113.77", port=port)
        client.call_id = "the-same"
        client.send(client.request(method, f"sip:{callee}@{DOMAIN}", branch="z9hG4bKsame" + callee))
        await edge.settle()
        answers.add(rest_of(client.response()))
    assert len(answers) == 1
    assert bob.received() == []


async def test_a_wrong_password_and_an_unknown_user_are_answered_alike() -> None:
    edge = EdgeUnderTest()
    answers = []
    for user in ("alice", "nobody"):
        client = SipClient(edge, user, host="203.0.113.78")
        client.digest = SipClient(edge, "somebody").digest
        fields = [("Contact", "<sip:x@203.0.113.78>")]
        request = client.request("REGISTER", f"sip:{DOMAIN}", fields, to=client.aor, branch=f"z9hG4bK{user}")
        client.send(request)
        await edge.settle()
        client.send(client.authenticated(request, client.response()))
        await edge.settle()
        answers.append(client.response().status)
    assert answers == [401, 401]


def smallest(method: str = "REGISTER") -> bytes:
    """A request as small as they come."""
    return (
        f"{method} sip:{DOMAIN} SIP/2.0\r\nv:SIP/2.0/UDP a;branch=z9hG4bK1\r\nf:<sip:a@{DOMAIN}>;tag=1\r\n"
        f"t:<sip:a@{DOMAIN}>\r\ni:1\r\nCSeq:1 {method}\r\nMax-Forwards:9\r\n\r\n"
    ).encode()


@pytest.mark.parametrize("method", ["REGISTER", "MESSAGE", "OPTIONS"])
async def test_an_answer_over_udp_is_at_most_three_times_as_large_as_what_a_stranger_sent(method: str) -> None:
    edge = EdgeUnderTest()
    data = smallest(method)
    edge.edge.datagram_received(data, ("203.0.113.1", 5060), edge.socket, edge.addresses["udp"])
    await edge.settle()
    (answers,) = edge.socket.sent.values()
    assert 0 < sum(map(len, answers)) <= 3 * len(data)


async def test_a_usual_register_is_offered_every_algorithm() -> None:
    edge = EdgeUnderTest()
    alice = SipClient(edge, "alice")
    fields = [("Contact", f"<{alice.contact}>"), ("User-Agent", "a telephone"), ("Expires", "600")]
    request = alice.request("REGISTER", f"sip:{DOMAIN}", fields, to=alice.aor)
    alice.send(request)
    await edge.settle()
    response = alice.response()
    assert re.findall(r"algorithm=([A-Z0-9-]+)", bytes(response).decode()) == ["SHA-256", "MD5"]


async def test_challenges_leave_no_transaction_and_their_repetition_has_the_same_to_tag() -> None:
    edge = EdgeUnderTest()
    alice = SipClient(edge, "alice")
    request = alice.request("INVITE", f"sip:bob@{DOMAIN}")
    tags = set()
    for _ in range(3):
        alice.send(request)
        response = alice.response()
        assert response.status == 407
        tags.add(response.to.tag)
    assert len(tags) == 1
    assert edge.edge.transactions.servers == {}
    ack = request.copy()
    assert isinstance(ack, Request)
    alice.send(bytes(ack).replace(b"INVITE sip:", b"ACK sip:").replace(b" INVITE\r\n", b" ACK\r\n"))
    assert alice.received() == []
    edge.pass_time(40)
    assert alice.received() == []


async def test_forged_addresses_are_sent_so_many_challenges_only_and_are_not_banned() -> None:
    edge = EdgeUnderTest({"protection": {"challenges_per_address": 10}})
    victim = SipClient(edge, "alice")
    for _ in range(500):
        victim.send(victim.message("bob"))
    assert len(victim.received()) == 20
    assert len(edge.edge.protection.bans) == 0
    assert edge.edge.transactions.servers == {}


async def test_a_nonce_of_one_address_proves_nothing_at_another() -> None:
    edge = EdgeUnderTest({"protection": {"failures": 3}})
    attacker = SipClient(edge, "alice", host="203.0.113.66")
    victim = SipClient(edge, "alice", host="203.0.113.5")
    attacker.digest = SipClient(edge, "somebody").digest
    request = attacker.message("bob")
    attacker.send(request)
    wrong = attacker.authenticated(request, attacker.response())
    for _ in range(10):
        victim.send(wrong)
        await edge.settle()
    assert len(victim.received()) == 10
    assert len(edge.edge.protection.bans) == 0
    assert (await victim.register()).status == 200


@pytest.mark.parametrize("kind", ["udp", "tcp"])
async def test_who_guesses_passwords_is_shut_out_also_over_his_connections(kind: str) -> None:
    edge = EdgeUnderTest({"protection": {"failures": 3}})
    guesser = SipClient(edge, "alice", kind=kind, host="203.0.113.66")
    other = SipClient(edge, "bob", kind="tcp", host="203.0.113.66")
    guesser.digest = SipClient(edge, "somebody").digest
    for _ in range(3):
        response = await guesser.register()
        assert response.status == 401
    assert other.connection.closed == "banned"
    late = SipClient(edge, "alice", host="203.0.113.66")
    late.send(late.message("bob"))
    assert late.received() == []
    assert [ban.address for ban in edge.edge.protection.bans.views()] == ["203.0.113.66"]


async def test_a_user_over_his_rate_gets_503() -> None:
    edge = EdgeUnderTest({"protection": {"messages_per_user": 1}})
    alice, bob = SipClient(edge, "alice"), SipClient(edge, "bob", kind="tcp")
    await bob.register()
    statuses = []
    for _ in range(3):
        message = alice.message("bob")
        alice.send(message)
        alice.send(alice.authenticated(message, alice.response()))
        await edge.settle()
        statuses += [response.status for response in alice.received() if isinstance(response, Response)]
    assert statuses == [503]


async def test_a_stream_that_sends_too_much_is_not_read_for_a_while_and_loses_nothing() -> None:
    edge = EdgeUnderTest({"protection": {"messages_per_address": 5}})
    alice = SipClient(edge, "alice", kind="tcp")
    assert alice.flow is not None
    requests = [alice.request("OPTIONS", "sip:edge.example.com") for _ in range(20)]
    alice.flow.data_received(b"".join(map(bytes, requests)))
    assert [response.status for response in alice.received() if isinstance(response, Response)] == [200] * 20
    assert alice.flow.is_paused
    edge.edge.release(edge.runtime.time + 1.9)
    assert alice.flow.is_paused
    edge.edge.release(edge.runtime.time + 2.1)
    assert not alice.flow.is_paused


async def test_a_neighbour_may_send_what_it_likes() -> None:
    edge = EdgeUnderTest({"protection": {"messages_per_address": 1}})
    neighbour = SipClient(edge, "carol", host=TRUSTED)
    for _ in range(50):
        neighbour.send(neighbour.request("OPTIONS", "sip:edge.example.com"))
    assert len(neighbour.received()) == 50
