"""Who gets through, and what is believed of whom: nothing unauthenticated is relayed, nowhere (DESIGN.md promise 6)."""

import pytest

from tests.support.sip_edge import DOMAIN, TRUSTED, EdgeUnderTest, SipClient


@pytest.fixture
def edge() -> EdgeUnderTest:
    return EdgeUnderTest()


METHODS = ["MESSAGE", "INVITE", "SUBSCRIBE", "NOTIFY", "OPTIONS", "REFER", "PUBLISH", "UNHEARD"]


@pytest.mark.parametrize("method", METHODS)
async def test_request_of_our_domain_without_credentials_is_challenged(edge: EdgeUnderTest, method: str) -> None:
    bob, mallory = SipClient(edge, "bob"), SipClient(edge, "alice")
    await bob.register()
    mallory.send(mallory.request(method, f"sip:bob@{DOMAIN}"))
    await edge.settle()
    response = mallory.response()
    assert response.status == 407
    assert [value.split()[0] for value in response.get_all("proxy-authenticate")] == ["Digest", "Digest"]
    assert "SHA-256" in response.get_all("proxy-authenticate")[0]
    assert bob.received() == []


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("uri", [f"sip:bob@{DOMAIN}", "sip:bob@elsewhere.example", "sip:bob@10.0.0.1"])
async def test_stranger_is_refused_whereto_ever(edge: EdgeUnderTest, method: str, uri: str) -> None:
    mallory = SipClient(edge, "mallory")
    request = mallory.request(method, uri)
    request.set("From", "<sip:mallory@elsewhere.example>;tag=1")
    mallory.send(request)
    await edge.settle()
    assert mallory.response().status == 403


async def test_unknown_user_is_challenged_like_a_known_one(edge: EdgeUnderTest) -> None:
    texts = []
    for user in ("alice", "nobody"):
        client = SipClient(edge, user)
        response = await client.exchange(client.message("bob")) if user == "nobody" else None
        client.send(client.message("bob"))
        await edge.settle()
        challenge = client.response()
        texts.append(
            [challenge.start_line, [value.split("nonce")[0] for value in challenge.get_all("proxy-authenticate")]]
        )
        assert response is None or response.status == 407
    assert texts[0] == texts[1]


async def test_neighbour_reaches_users_but_not_the_world_through_us(edge: EdgeUnderTest) -> None:
    bob, neighbour = SipClient(edge, "bob"), SipClient(edge, "gateway", host=TRUSTED, port=5060)
    await bob.register()
    neighbour.send(neighbour.message("bob"))
    assert bob.incoming().body == b"hello"
    neighbour.send(neighbour.message("sip:eve@elsewhere.example"))
    await edge.settle()
    assert neighbour.response().status == 403


async def test_user_may_not_send_as_another(edge: EdgeUnderTest) -> None:
    alice = SipClient(edge, "alice")
    request = alice.message("bob")
    request.set("From", f"<sip:carol@{DOMAIN}>;tag=1")
    assert (await alice.exchange(request)).status == 403


@pytest.mark.parametrize(
    "name", ["P-Asserted-Identity", "p-asserted-identity ", "P-Preferred-Identity", "X-Wigwag-Trust"]
)
async def test_identity_that_a_client_claims_is_removed(edge: EdgeUnderTest, name: str) -> None:
    alice, bob = SipClient(edge, "alice"), SipClient(edge, "bob")
    await bob.register()
    request = alice.message("bob")
    request.append(name.strip(), "<sip:president@example.com>")
    request.lines[-1] = f"{name}: <sip:president@example.com>"
    alice.send(request)
    await edge.settle()
    again = alice.authenticated(request, alice.response())
    alice.send(again)
    await edge.settle()
    came = bob.incoming()
    assert "president" not in bytes(came).decode()
    assert came.get_all("p-asserted-identity") == [f"<sip:alice@{DOMAIN}>"]


async def test_identity_that_a_neighbour_asserts_is_passed_on(edge: EdgeUnderTest) -> None:
    bob, neighbour = SipClient(edge, "bob"), SipClient(edge, "gateway", host=TRUSTED, port=5060)
    await bob.register()
    request = neighbour.message("bob")
    request.append("P-Asserted-Identity", "<tel:+15551234>")
    request.append("Identity", "eyJ...;info=<https://cert.example>")
    neighbour.send(request)
    came = bob.incoming()
    assert came.get_all("p-asserted-identity") == ["<tel:+15551234>"]
    assert came.get("identity") == "eyJ...;info=<https://cert.example>"


async def test_route_to_elsewhere_is_not_followed_for_a_request_to_our_user(edge: EdgeUnderTest) -> None:
    alice, bob = SipClient(edge, "alice"), SipClient(edge, "bob")
    await bob.register()
    request = alice.message("bob")
    request.insert("Route", "<sip:10.0.0.1;lr>")
    assert (await alice.exchange(request)).status == 403


async def test_forged_record_route_opens_nothing(edge: EdgeUnderTest) -> None:
    bob, mallory = SipClient(edge, "bob"), SipClient(edge, "mallory")
    await bob.register()
    for token in ("aAAAA", "a" + "A" * 80, "%00", "b" * 300):
        request = mallory.request("INFO", bob.contact)
        request.set("To", f"<sip:bob@{DOMAIN}>;tag=x")
        request.insert("Route", f"<sip:{token}@edge.example.com;lr>")
        mallory.send(request)
        await edge.settle()
        assert mallory.response().status in (400, 403, 407)
    assert bob.received() == []


@pytest.mark.parametrize("kind", ["udp", "tcp"])
async def test_count_of_a_nonce_is_good_once(edge: EdgeUnderTest, kind: str) -> None:
    alice = SipClient(edge, "alice", kind=kind)
    request = alice.message("bob")
    alice.send(request)
    await edge.settle()
    again = alice.authenticated(request, alice.response())
    alice.send(again)
    await edge.settle()
    assert alice.response().status == 480
    replay = again.copy()
    replay.replace_item("via", str(again.via).replace("branch=", "branch=z9hG4bKreplay"))
    alice.send(replay)
    await edge.settle()
    response = alice.response()
    assert response.status == 407
    assert "stale=true" in str(response.get("proxy-authenticate"))


async def test_nonce_of_one_connection_is_stale_on_another(edge: EdgeUnderTest) -> None:
    alice = SipClient(edge, "alice", kind="tcp")
    request = alice.message("bob")
    alice.send(request)
    again = alice.authenticated(request, alice.response())
    alice.connect()
    alice.send(again)
    await edge.settle()
    assert "stale=true" in str(alice.response().get("proxy-authenticate"))


async def test_retransmission_is_not_challenged(edge: EdgeUnderTest) -> None:
    alice = SipClient(edge, "alice")
    request = alice.message("bob")
    alice.send(request)
    await edge.settle()
    again = alice.authenticated(request, alice.response())
    for _ in range(2):
        alice.send(again)
        await edge.settle()
    assert [message.start_line.split()[1] for message in alice.received()] == ["480", "480"]


async def test_user_is_looked_up_once_for_many_messages(edge: EdgeUnderTest) -> None:
    alice, bob = SipClient(edge, "alice"), SipClient(edge, "bob")
    await bob.register()
    edge.passwords.asked = 0
    for _ in range(5):
        request = alice.message("bob")
        alice.digest.sign(request)
        alice.send(request)
        await edge.settle()
        for message in alice.received():
            alice.send(alice.authenticated(request, message))  # type: ignore[arg-type]
            await edge.settle()
    assert len(bob.received()) == 5
    assert edge.passwords.asked == 1


async def test_strangers_invite_over_udp_is_refused_once_and_not_again(edge: EdgeUnderTest) -> None:
    mallory = SipClient(edge, "alice")
    mallory.send(mallory.request("INVITE", f"sip:bob@{DOMAIN}"))
    await edge.settle()
    edge.pass_time(40, step=0.5)
    assert [message.start_line for message in mallory.received()] == ["SIP/2.0 407 Proxy Authentication Required"]
    assert not edge.edge.transactions.servers


async def test_domain_of_ours_without_user_is_the_edge_itself(edge: EdgeUnderTest) -> None:
    client = SipClient(edge, "alice")
    client.send(client.request("OPTIONS", f"sip:{DOMAIN}"))
    assert client.response().status == 200


async def test_route_that_names_the_edge_by_an_alias_is_its_own() -> None:
    edge = EdgeUnderTest({"aliases": ["proxy.example.net"]})
    alice, bob = SipClient(edge, "alice"), SipClient(edge, "bob")
    await bob.register()
    request = alice.message("bob")
    request.insert("Route", "<sip:proxy.example.net;lr>")
    alice.send(request)
    await edge.settle()
    alice.send(alice.authenticated(request, alice.response()))
    await edge.settle()
    assert "route" not in bob.incoming()
