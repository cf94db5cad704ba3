"""REGISTER: binding rules of RFC 3261 section 10.3, RFC 5626 section 6, RFC 3327 and RFC 8599."""

import pytest

from tests.support.sip_edge import DOMAIN, TRUSTED, EdgeUnderTest, SipClient
from wigwag.protocols.sip import Response
from wigwag.store import Binding

INSTANCE = '"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"'


@pytest.fixture
def edge() -> EdgeUnderTest:
    return EdgeUnderTest()


@pytest.fixture
def alice(edge: EdgeUnderTest) -> SipClient:
    return SipClient(edge, "alice")


async def register(client: SipClient, *contacts: str, fields: "list[tuple[str, str]] | None" = None) -> Response:
    """Send a REGISTER with these Contacts; returns its answer."""
    head = [("Contact", contact) for contact in contacts] + (fields or [])
    return await client.exchange(client.request("REGISTER", f"sip:{DOMAIN}", head, to=client.aor))


async def bindings(edge: EdgeUnderTest, user: str = "alice") -> list[Binding]:
    aor = f"sip:{user}@{DOMAIN}"
    found = (await edge.store.find_registrations([aor])).get(aor)
    return list(found.bindings) if found is not None else []


async def expires(edge: EdgeUnderTest) -> list[int]:
    return [round(binding.expires_at - edge.runtime.wall()) for binding in await bindings(edge)]


# Contacts


async def test_contact_comes_back_with_its_expiry_preference_and_feature_tags(alice: SipClient) -> None:
    response = await register(
        alice,
        '<sip:alice@203.0.113.1>;q=0.5;expires=300;+sip.instance="<urn:x:1>";audio;+g.oma.sip-im;methods="MESSAGE"',
    )
    assert response.status == 200
    assert response.items("contact") == [
        '<sip:alice@203.0.113.1>;q=0.5;expires=300;+sip.instance="<urn:x:1>";audio;+g.oma.sip-im;methods="MESSAGE"'
    ]
    assert response.get("date") is not None
    assert response.get("require") is None


async def test_query_changes_nothing_and_tells_what_is_bound(edge: EdgeUnderTest, alice: SipClient) -> None:
    assert (await register(alice)).items("contact") == []
    await register(alice, "<sip:alice@203.0.113.1>;expires=300")
    edge.runtime.time += 100
    assert (await register(alice)).items("contact") == ["<sip:alice@203.0.113.1>;expires=200"]


async def test_several_contacts_are_bound_at_once_or_not_at_all(edge: EdgeUnderTest, alice: SipClient) -> None:
    response = await register(alice, "<sip:alice@203.0.113.1>, <sip:alice@203.0.113.2>;expires=1")
    assert (response.status, response.get("min-expires")) == (423, "60")
    assert await bindings(edge) == []
    response = await register(alice, "<sip:alice@203.0.113.1>;expires=60, <sip:alice@203.0.113.2>;expires=90")
    assert len(response.items("contact")) == 2


EXPIRIES = [
    ("<sip:a@203.0.113.1>", [], 3600),
    ("<sip:a@203.0.113.1>", [("Expires", "700")], 700),
    ("<sip:a@203.0.113.1>;expires=800", [("Expires", "700")], 800),
    ("<sip:a@203.0.113.1>;expires=soon", [("Expires", "700")], 3600),
    ("<sip:a@203.0.113.1>;expires", [], 3600),
    ("<sip:a@203.0.113.1>;expires=-1", [], 3600),
    ("<sip:a@203.0.113.1>;expires=4294967297", [], 7200),
    ("<sip:a@203.0.113.1>;expires=280297596632815280297596632815", [], 7200),
]


@pytest.mark.parametrize(("contact", "fields", "seconds"), EXPIRIES)
async def test_expiry_is_the_contacts_else_the_headers_else_the_default(
    edge: EdgeUnderTest, alice: SipClient, contact: str, fields: list[tuple[str, str]], seconds: int
) -> None:
    assert (await register(alice, contact, fields=fields)).status == 200
    assert await expires(edge) == [seconds]


REFUSED = [
    (["*"], [], 400),
    (["*"], [("Expires", "10")], 400),
    (["*", "<sip:a@203.0.113.1>"], [("Expires", "0")], 400),
    (["<sip:a@203.0.113.1>"], [("Expires", "soon")], 400),
    (["<sip:a@203.0.113.1>"], [("Expires", "280297596632815")], 400),
    (["<sip:a@203.0.113.1>;q=1.1"], [], 400),
    (["<sip:a@203.0.113.1>;q=nan"], [], 400),
    (["<sip:a@203.0.113.1>;q=0.1234"], [], 400),
    (["<mailto:alice@example.com>"], [], 400),
    (["<tel:+15551234>"], [], 400),
    (["<sip:a b@203.0.113.1>"], [], 400),
    (["<sip:alice@edge.example.com:5060>"], [], 400),
    (["<sip:alice@192.0.2.9;transport=tcp>"], [], 400),
    (["<sip:a@203.0.113.1>, <sip:%61@203.0.113.1>"], [], 400),
    ([f"<sip:a@203.0.113.1>;+sip.instance={INSTANCE};reg-id=0"], [], 400),
    ([f"<sip:a@203.0.113.1>;+sip.instance={INSTANCE};reg-id=1, <sip:a@203.0.113.2>"], [], 400),
    (["<sip:a@203.0.113.1>;x=" + 5000 * "y"], [], 400),
    ([", ".join(f"<sip:a@203.0.113.{i}>" for i in range(1, 12))], [], 403),
    ([", ".join(f"<sip:a@203.0.113.{i}>" for i in range(1, 22))], [], 403),
    (["<sip:a@203.0.113.1>"], [("Require", "path, gruu")], 420),
    (["<sip:a@203.0.113.1>"], [("Path", "<sip:p.example;lr>")], 420),
    (["<sip:a@203.0.113.1>"], [("Path", "<mailto:p@example>"), ("Supported", "path")], 416),
    (["<sip:a@203.0.113.1>;expires=59"], [], 423),
]


@pytest.mark.parametrize(("contacts", "fields", "status"), REFUSED)
async def test_what_breaks_a_rule_is_refused_and_binds_nothing(
    edge: EdgeUnderTest, alice: SipClient, contacts: list[str], fields: list[tuple[str, str]], status: int
) -> None:
    response = await register(alice, *contacts, fields=fields)
    assert response.status == status, response.start_line
    assert await bindings(edge) == []
    if status == 420:
        assert response.get("unsupported") in ("gruu", "path")


async def test_star_removes_everything_that_is_older(edge: EdgeUnderTest, alice: SipClient) -> None:
    await register(alice, "<sip:alice@203.0.113.1>")
    other = SipClient(edge, "alice")
    await register(other, "<sip:alice@203.0.113.2>")
    assert (await register(alice, "*", fields=[("Expires", "0")])).items("contact") == []
    assert await bindings(edge) == []


async def test_absent_contact_can_be_removed(alice: SipClient) -> None:
    await register(alice, "<sip:alice@203.0.113.1>")
    response = await register(alice, "<sip:alice@203.0.113.9>", fields=[("Expires", "0")])
    assert (response.status, len(response.items("contact"))) == (200, 1)


async def test_lower_cseq_of_the_same_call_changes_nothing(edge: EdgeUnderTest, alice: SipClient) -> None:
    alice.cseq = 100
    await register(alice, "<sip:alice@203.0.113.1>;expires=600")
    alice.cseq = 50
    assert (await register(alice, "<sip:alice@203.0.113.1>;expires=900")).status == 500
    assert (await register(alice, "*", fields=[("Expires", "0")])).status == 500
    assert await expires(edge) == [600]


async def test_lower_cseq_of_another_call_replaces_the_binding(edge: EdgeUnderTest, alice: SipClient) -> None:
    """A client that was started anew."""
    alice.cseq = 100
    await register(alice, "<sip:alice@203.0.113.1>;expires=600")
    alice.cseq, alice.call_id = 1, "another"
    assert (await register(alice, "<sip:alice@203.0.113.1>;expires=900")).status == 200
    assert await expires(edge) == [900]


async def test_client_that_lost_its_answer_gets_it_again(edge: EdgeUnderTest, alice: SipClient) -> None:
    await register(alice, "<sip:alice@203.0.113.1>;expires=600")
    request = alice.request(
        "REGISTER", f"sip:{DOMAIN}", [("Contact", "<sip:alice@203.0.113.1>;expires=600")], to=alice.aor
    )
    response = await alice.exchange(request)
    alice.cseq -= 1  # The same CSeq once more, in a transaction of its own.
    again = await alice.exchange(
        alice.request("REGISTER", f"sip:{DOMAIN}", [("Contact", "<sip:alice@203.0.113.1>;expires=600")], to=alice.aor)
    )
    assert response.items("contact") == again.items("contact")
    assert len(await bindings(edge)) == 1


EQUAL = [
    "<sip:%61lice@203.0.113.1;transport=TCP>",
    "<sip:alice@203.0.113.1;transport=tcp;line=1>",
    "<sip:alice@203.0.113.1;transport=tcp;ob>",
    "<sip:alice@203.0.113.1;pn-provider=apns;pn-prid=new;transport=tcp>",
]
OTHERS = [
    "<sip:Alice@203.0.113.1;transport=tcp>",
    "<sip:alice@203.0.113.1>",
    "<sip:alice@203.0.113.1:5060;transport=tcp>",
    "<sips:alice@203.0.113.1;transport=tcp>",
    "<sip:alice@203.0.113.1;transport=udp>",
    "<sip:alice@203.0.113.1;transport=tcp?subject=x>",
]


@pytest.mark.parametrize("contact", EQUAL)
async def test_contact_that_is_equal_replaces_the_binding(edge: EdgeUnderTest, alice: SipClient, contact: str) -> None:
    await register(alice, "<sip:alice@203.0.113.1;transport=tcp>")
    await register(alice, contact)
    assert [f"<{binding.contact}>" for binding in await bindings(edge)] == [contact]


@pytest.mark.parametrize("contact", OTHERS)
async def test_contact_that_differs_is_another_binding(edge: EdgeUnderTest, alice: SipClient, contact: str) -> None:
    await register(alice, "<sip:alice@203.0.113.1;transport=tcp>")
    await register(alice, contact)
    assert len(await bindings(edge)) == 2


# Who, and for whom


async def test_user_may_not_register_another(edge: EdgeUnderTest, alice: SipClient) -> None:
    request = alice.request("REGISTER", f"sip:{DOMAIN}", [("Contact", "<sip:x@203.0.113.1>")], to=f"sip:bob@{DOMAIN}")
    assert (await alice.exchange(request)).status == 403
    assert await bindings(edge, "bob") == []


@pytest.mark.parametrize("to", [f"sip:{DOMAIN}", "sip:alice@elsewhere.example", "tel:+15551234"])
async def test_only_users_of_our_domains_are_registered(alice: SipClient, to: str) -> None:
    request = alice.request("REGISTER", f"sip:{DOMAIN}", [("Contact", "<sip:x@203.0.113.1>")], to=to)
    assert (await alice.exchange(request)).status == 404


# Outbound and Path


async def test_instance_and_reg_id_are_the_binding_whatever_the_contact_is(
    edge: EdgeUnderTest, alice: SipClient
) -> None:
    outbound = [("Supported", "path, outbound")]
    for port in (1, 2):
        parameters = f";+sip.instance={INSTANCE};reg-id=1"
        response = await register(alice, f"<sip:alice@203.0.113.1:{port};ob>{parameters}", fields=outbound)
    assert response.get("require") == "outbound"
    (binding,) = await bindings(edge)
    assert (binding.contact, binding.reg_id) == ("sip:alice@203.0.113.1:2;ob", 1)
    assert binding.instance == "<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"
    await register(alice, f"<sip:alice@203.0.113.1:3;ob>;+sip.instance={INSTANCE};reg-id=2", fields=outbound)
    assert len(await bindings(edge)) == 2


async def test_outbound_over_a_connection_is_told_how_often_to_keep_it_alive(edge: EdgeUnderTest) -> None:
    alice = SipClient(edge, "alice", kind="tls")
    contact = f"<{alice.contact}>;+sip.instance={INSTANCE};reg-id=1"
    response = await register(alice, contact, fields=[("Supported", "outbound")])
    assert (response.get("require"), response.get("flow-timer")) == ("outbound", "120")


async def test_reg_id_without_support_or_instance_is_no_outbound(edge: EdgeUnderTest, alice: SipClient) -> None:
    response = await register(alice, f"<sip:alice@203.0.113.1>;+sip.instance={INSTANCE};reg-id=1")
    assert (response.status, response.get("require")) == (200, None)
    response = await register(alice, "<sip:alice@203.0.113.2>;reg-id=1", fields=[("Supported", "outbound")])
    assert (response.status, response.get("require")) == (200, None)


async def passed_on(edge: EdgeUnderTest, *fields: tuple[str, str]) -> Response:
    """Send a REGISTER through a neighbour's proxy."""
    proxy = SipClient(edge, "alice", host=TRUSTED)
    contact = f"<sip:alice@198.18.0.1>;+sip.instance={INSTANCE};reg-id=1"
    request = proxy.request("REGISTER", f"sip:{DOMAIN}", [("Contact", contact), *fields], to=proxy.aor)
    request.lines.insert(1, "Via: SIP/2.0/UDP 198.18.0.1;branch=z9hG4bKclient")
    request.names.insert(1, "via")
    return await proxy.exchange(request)


async def test_first_hop_that_does_not_support_outbound_is_told(edge: EdgeUnderTest) -> None:
    assert (await passed_on(edge, ("Supported", "outbound"))).status == 439
    assert (await passed_on(edge, ("Supported", "outbound, path"), ("Path", "<sip:p.example;lr>"))).status == 439
    assert await bindings(edge) == []


async def test_path_is_kept_and_given_back(edge: EdgeUnderTest) -> None:
    path = "<sip:token@p.example;lr;ob>"
    response = await passed_on(edge, ("Supported", "outbound, path"), ("Path", path))
    assert (response.get("path"), response.get("require")) == (path, "outbound")
    (binding,) = await bindings(edge)
    assert binding.path == (path,)


async def test_contact_that_a_neighbour_passes_on_without_path_is_reached_by_its_uri(edge: EdgeUnderTest) -> None:
    response = await passed_on(edge)
    assert (response.status, response.get("require")) == (200, None)
    (binding,) = await bindings(edge)
    assert (binding.flow, binding.reg_id) == (None, 0)


async def test_stranger_can_not_have_requests_sent_elsewhere(edge: EdgeUnderTest, alice: SipClient) -> None:
    request = alice.request("REGISTER", f"sip:{DOMAIN}", [("Contact", "<sip:v@198.18.0.1>")], to=alice.aor)
    request.lines.insert(1, "Via: SIP/2.0/UDP 198.18.0.1;branch=z9hG4bKclient")
    request.names.insert(1, "via")
    assert (await alice.exchange(request)).status == 200
    (binding,) = await bindings(edge)
    assert binding.flow is not None


async def test_service_route_is_told(alice: SipClient) -> None:
    edge = EdgeUnderTest({"registrar": {"service_route": ["<sip:edge.example.com;lr>"]}})
    response = await register(SipClient(edge, "alice"), "<sip:alice@203.0.113.1>")
    assert response.get_all("service-route") == ["<sip:edge.example.com;lr>"]


async def test_store_that_is_away_is_told_with_the_time_to_come_again(
    edge: EdgeUnderTest, alice: SipClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wigwag.store import StoreError

    async def away(*args: object, **more: object) -> None:
        raise StoreError("away")

    upkeep = edge.parts.registrations.upkeep
    with monkeypatch.context() as patched:
        patched.setattr(edge.store, "register", away)
        patched.setattr(edge.store, "find_registrations", away)
        response = await register(alice, "<sip:alice@203.0.113.1>")
        assert (response.status, response.get("retry-after")) == (503, "5")
        await upkeep.turn()
        assert upkeep.away == "away"
    await upkeep.turn()
    assert upkeep.away == ""
