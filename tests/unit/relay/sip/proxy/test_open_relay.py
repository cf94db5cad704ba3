"""No open relay in any direction: every way to send through us that nobody may, and the few that somebody may."""

from typing import Any

import pytest

from tests.support.sip_edge import DOMAIN, TRUSTED, EdgeUnderTest, SipClient
from wigwag.protocols.sip import Request, Response, parse_datagram, parse_name_address

OUTSIDE = "outside.example"
HOP = "203.0.113.10"
STRANGER = f"sip:mallory@{OUTSIDE}"
ROWS: list[dict[str, Any]] = [
    {"name": "foreign registrar", "methods": ["REGISTER"], "domain": "reg.example", "sender": "anybody"}
    | {"action": "forward", "next_hops": [f"sip:{OUTSIDE}"]},
    {"name": "mail in", "methods": ["MESSAGE"], "domain": DOMAIN, "user": "open*", "sender": "anybody"}
    | {"action": "location"},
    {"name": "gateway", "user": "00*", "sender": "authenticated"}
    | {"action": "forward", "next_hops": [f"sip:{OUTSIDE}"]},
    {"name": "inside", "source_network": "192.0.2.0/24", "domain": DOMAIN, "trust": True, "action": "location"},
]


@pytest.fixture
def edge() -> EdgeUnderTest:
    edge = EdgeUnderTest({"routes": ROWS})
    edge.hops.add(OUTSIDE, HOP)
    edge.hops.add("reg.example", HOP)
    return edge


def sent_outside(edge: EdgeUnderTest) -> list[bytes]:
    return edge.socket.sent.get((HOP, 5060), [])


ATTEMPTS = [
    # (from where, From, method, Request-URI, Route)
    ("stranger to outside", "", STRANGER, "MESSAGE", f"sip:x@{OUTSIDE}", None),
    ("stranger to a gateway's number", "", STRANGER, "INVITE", f"sip:0049@{DOMAIN}", None),
    ("stranger as a user", "", f"sip:alice@{DOMAIN}", "MESSAGE", f"sip:x@{OUTSIDE}", None),
    ("stranger as a user to an open user", "", f"sip:alice@{DOMAIN}", "MESSAGE", f"sip:open@{DOMAIN}", None),
    ("stranger to a closed user", "", STRANGER, "MESSAGE", f"sip:bob@{DOMAIN}", None),
    ("stranger calls an open user", "", STRANGER, "INVITE", f"sip:open@{DOMAIN}", None),
    ("stranger with a Route of his", "", STRANGER, "MESSAGE", f"sip:x@{OUTSIDE}", f"<sip:{OUTSIDE};lr>"),
    ("stranger to an open user, routed on", "", STRANGER, "MESSAGE", f"sip:open@{DOMAIN}", f"<sip:{OUTSIDE};lr>"),
    ("stranger through us and on", "", STRANGER, "MESSAGE", f"sip:x@{OUTSIDE}", "<sip:edge.example.com;lr>"),
    ("stranger with a forged token", "", STRANGER, "BYE", f"sip:x@{OUTSIDE}", "<sip:aAAAA@edge.example.com;lr>"),
    ("stranger registers elsewhere", "", STRANGER, "REGISTER", f"sip:{OUTSIDE}", None),
    ("stranger registers by another method's row", "", STRANGER, "PUBLISH", "sip:reg.example", None),
    ("stranger to our host by number", "", STRANGER, "MESSAGE", "sip:x@192.0.2.9:5060", None),
    ("stranger to a tel URI", "", STRANGER, "INVITE", "tel:+15550100", None),
    ("neighbour to outside", TRUSTED, STRANGER, "MESSAGE", f"sip:x@{OUTSIDE}", None),
    ("neighbour to a users' gateway", TRUSTED, STRANGER, "INVITE", f"sip:0049@{OUTSIDE}", None),
    ("neighbour with a Route on", TRUSTED, STRANGER, "MESSAGE", f"sip:bob@{DOMAIN}", f"<sip:{OUTSIDE};lr>"),
    ("neighbour registers elsewhere", TRUSTED, STRANGER, "REGISTER", f"sip:{OUTSIDE}", None),
    ("inside to outside", "192.0.2.5", STRANGER, "MESSAGE", f"sip:x@{OUTSIDE}", None),
    ("inside with a Route on", "192.0.2.5", STRANGER, "MESSAGE", f"sip:bob@{DOMAIN}", f"<sip:{OUTSIDE};lr>"),
    ("just outside the inside", "192.0.3.5", STRANGER, "MESSAGE", f"sip:bob@{DOMAIN}", None),
]


@pytest.mark.parametrize(
    ("source", "sender", "method", "uri", "route"), [a[1:] for a in ATTEMPTS], ids=[a[0] for a in ATTEMPTS]
)
async def test_attempt_to_send_through_us(
    edge: EdgeUnderTest, source: str, sender: str, method: str, uri: str, route: str | None
) -> None:
    bob, opened = SipClient(edge, "bob"), SipClient(edge, "open")
    await bob.register()
    mallory = SipClient(edge, "mallory", host=source or "198.18.0.1")
    request = mallory.request(method, uri)
    request.set("From", f"<{sender}>;tag=1")
    if route is not None:
        request.insert("Route", route)
    if "aAAAA" in (route or ""):
        request.set("To", f"<{uri}>;tag=2")
    mallory.send(request)
    await edge.settle()
    final = mallory.received()[-1]
    assert isinstance(final, Response)
    assert final.status in (403, 404, 407, 416)
    assert sent_outside(edge) == []
    assert (bob.received(), opened.received()) == ([], [])


@pytest.mark.parametrize(
    ("uri", "route", "status"),
    [
        (f"sip:x@{OUTSIDE}", f"<sip:{OUTSIDE};lr>", 403),
        (f"sip:0049@{DOMAIN}", f"<sip:{OUTSIDE};lr>", 403),
        (f"sip:bob@{DOMAIN}", f"<sip:{OUTSIDE};lr>", 403),
    ],
)
async def test_users_choose_no_route_of_their_own(edge: EdgeUnderTest, uri: str, route: str, status: int) -> None:
    alice = SipClient(edge, "alice")
    request = alice.message(uri)
    request.insert("Route", route)
    assert (await alice.exchange(request)).status == status
    assert sent_outside(edge) == []


async def test_user_may_not_register_elsewhere_through_us(edge: EdgeUnderTest) -> None:
    alice = SipClient(edge, "alice")
    assert (await alice.exchange(alice.request("REGISTER", f"sip:{OUTSIDE}"))).status == 403
    assert sent_outside(edge) == []


async def test_stranger_reaches_who_is_open_and_is_not_believed(edge: EdgeUnderTest) -> None:
    edge.passwords.passwords["open1"] = "wrong"
    opened, stranger = SipClient(edge, "open1"), SipClient(edge, "mallory", host="198.18.0.1")
    await opened.register()
    request = stranger.message("open1")
    request.set("From", f"<{STRANGER}>;tag=1")
    request.append("P-Asserted-Identity", f"<sip:alice@{DOMAIN}>")
    stranger.send(request)
    await edge.settle()
    came = opened.incoming()
    assert came.body == b"hello"
    assert came.get("p-asserted-identity") is None


# A registrar outside, reached through us (RFC 3327, RFC 5626)


async def registered_outside(edge: EdgeUnderTest, client: SipClient) -> tuple[Request, str]:
    """Register at the registrar outside; returns the request as it came there, and the Path's URI."""
    request = client.request("REGISTER", "sip:reg.example", [("Contact", f"<{client.contact}>")])
    request.set("From", "<sip:dora@reg.example>;tag=1")
    request.set("To", "<sip:dora@reg.example>")
    client.send(request)
    await edge.settle()
    came = parse_datagram(sent_outside(edge)[-1])
    assert isinstance(came, Request)
    registrar = SipClient(edge, "registrar", host=HOP, port=5060)
    registrar.answer(came)
    assert client.response().status == 200
    return came, parse_name_address(came.items("path")[0]).uri


def by_path(registrar: SipClient, client: SipClient, path: str, method: str = "MESSAGE") -> Request:
    request = registrar.request(method, client.contact, call_id=f"from-outside-{method}")
    request.set("From", "<sip:eve@reg.example>;tag=9")
    request.insert("Route", f"<{path}>")
    return request


@pytest.mark.parametrize("kind", ["udp", "tcp"])
async def test_registrar_outside_reaches_the_client_by_the_flow_it_registered_over(
    edge: EdgeUnderTest, kind: str
) -> None:
    dora, registrar = SipClient(edge, "dora", kind=kind), SipClient(edge, "registrar", host=HOP, port=5060)
    _, path = await registered_outside(edge, dora)
    registrar.received()
    registrar.send(by_path(registrar, dora, path))
    await edge.settle()
    came = dora.incoming()
    assert came.get("route") is None
    dora.answer(came)
    assert [m.status for m in registrar.received() if isinstance(m, Response)] == [200]


async def test_path_leads_to_its_client_only_and_cannot_be_changed(edge: EdgeUnderTest) -> None:
    dora, registrar = SipClient(edge, "dora"), SipClient(edge, "registrar", host=HOP, port=5060)
    _, path = await registered_outside(edge, dora)
    registrar.received()
    user, _, rest = path.partition("@")
    for forged in (f"{user[:30]}{'A' if user[30] != 'A' else 'B'}{user[31:]}@{rest}", f"{user}AAAA@{rest}"):
        registrar.send(by_path(registrar, dora, forged))
        await edge.settle()
        assert registrar.response().status == 403
    elsewhere = by_path(registrar, dora, path, "OPTIONS")
    elsewhere.set_uri(f"sip:x@{OUTSIDE}")
    registrar.send(elsewhere)
    await edge.settle()
    assert [message.start_line for message in dora.received()] == [f"OPTIONS sip:x@{OUTSIDE} SIP/2.0"]


async def test_path_of_a_lost_connection_is_430(edge: EdgeUnderTest) -> None:
    dora, registrar = SipClient(edge, "dora", kind="tcp"), SipClient(edge, "registrar", host=HOP, port=5060)
    _, path = await registered_outside(edge, dora)
    dora.disconnect()
    registrar.received()
    registrar.send(by_path(registrar, dora, path))
    await edge.settle()
    assert registrar.response().status == 430


async def test_call_by_a_path_is_used_and_ended_by_both_sides(edge: EdgeUnderTest) -> None:
    dora, registrar = SipClient(edge, "dora"), SipClient(edge, "registrar", host=HOP, port=5060)
    _, path = await registered_outside(edge, dora)
    registrar.received()
    registrar.send(by_path(registrar, dora, path, "INVITE"))
    await edge.settle()
    invite = dora.incoming()
    ok = dora.answer(invite)
    routes = invite.items("record-route")
    assert len(routes) == 2
    bye = dora.request("BYE", "sip:eve@203.0.113.10", call_id=invite.call_id)
    bye.set("From", f"{ok.get('to')}")
    bye.set("To", f"{invite.get('from')}")
    for route in routes:
        bye.append("Route", route)
    registrar.received()
    dora.send(bye)
    await edge.settle()
    assert registrar.incoming().method == "BYE"


async def call_outside(edge: EdgeUnderTest, alice: SipClient) -> Request:
    """A user's call to somebody outside; returns it as it came there."""
    request = alice.request("INVITE", f"sip:eve@{OUTSIDE}")
    alice.send(request)
    alice.send(alice.authenticated(request, alice.response()))
    await edge.settle()
    came = parse_datagram(sent_outside(edge)[-1])
    assert isinstance(came, Request)
    return came


def within(client: SipClient, invite: Request, uri: str, method: str = "INFO") -> Request:
    """A request of the caller within the call, by all the routes of the call."""
    request = client.request(method, uri, call_id=invite.call_id)
    request.set("From", invite.get("from") or "")
    request.set("To", f"{invite.get('to')};tag=eve")
    for route in reversed(invite.items("record-route")):
        request.append("Route", route)
    return request


async def test_other_end_of_a_call_does_not_send_on_by_its_route(edge: EdgeUnderTest) -> None:
    alice, eve = SipClient(edge, "alice"), SipClient(edge, "eve", host=HOP, port=5060)
    invite = await call_outside(edge, alice)
    edge.hops.add("victim.example", "203.0.113.99")
    for route in ([0], [1, 0], [0, 1]):
        for method in ("INFO", "MESSAGE", "ACK", "BYE"):
            request = within(eve, invite, "sip:x@victim.example", method)
            request.remove("route")
            for index in route:
                request.append("Route", invite.items("record-route")[index])
            eve.send(request)
            await edge.settle()
    assert edge.socket.sent.get(("203.0.113.99", 5060)) is None


@pytest.mark.parametrize("registered", [False, True])
async def test_caller_goes_on_from_where_he_was_or_is_registered_and_else_proves_himself(
    edge: EdgeUnderTest, *, registered: bool
) -> None:
    alice = SipClient(edge, "alice")
    invite = await call_outside(edge, alice)
    before = len(sent_outside(edge))
    alice.send(within(alice, invite, f"sip:eve@{OUTSIDE}", "ACK"))
    await edge.settle()
    assert len(sent_outside(edge)) == before + 1
    moved = SipClient(edge, "alice")
    if registered:
        await moved.register()
    moved.send(within(moved, invite, f"sip:eve@{OUTSIDE}", "BYE"))
    await edge.settle()
    assert len(sent_outside(edge)) == before + 1 + registered
    if not registered:
        assert moved.response().status == 407
