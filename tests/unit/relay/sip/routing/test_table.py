"""The routing table: which row matches, what it says, which rows are not taken at all."""

from typing import Any

import pytest
from pydantic import ValidationError

from tests.support.sip_edge import DOMAIN, TRUSTED, EdgeUnderTest, SipClient
from wigwag.database import SipPoolMemberRow, SipRouteRow
from wigwag.errors import ConfigurationError
from wigwag.protocols.sip import Request, Response
from wigwag.relay.sip.routing.config import SipRouteSettings
from wigwag.runtime.patterns import Glob

GATEWAY = "gateway.example"


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("*", "", True),
        ("", "", True),
        ("", "a", False),
        ("a*", "a", True),
        ("*a", "a", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("+49*", "+4930", True),
        ("+49*", "004930", False),
        ("*.example.com", "a.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "a.example.com.evil", False),
        ("a*b*c", "a-b-b-c", True),
        ("a*b*c", "acb", False),
        ("a*b*b", "ab", False),
        ("[ab]*", "a", False),
        ("a?c", "abc", False),
        ("*" * 500 + "x", "a" * 2000, False),
    ],
)
def test_star_stands_for_any_characters_and_nothing_else_is_special(pattern: str, text: str, *, matches: bool) -> None:
    assert Glob(pattern).matches(text) is matches


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"action": "drop"},
        {"action": "service"},
        {"action": "pool"},
        {"action": "location", "pool": "p"},
        {"action": "location", "next_hops": ["sip:a"]},
        {"action": "forward", "next_hops": ["http://a"]},
        {"action": "forward", "next_hops": ["tel:+1"]},
        {"action": "forward", "next_hops": ["sip:a b"]},
        {"action": "refuse", "status": 200},
        {"action": "refuse", "status": 302},
        {"action": "refuse", "reason": "a\r\nVia: b"},
        {"action": "location", "source_network": "10.0.0.1/8"},
        {"action": "location", "source_network": "everybody"},
        {"action": "forward", "prefix": "a\r\nb"},
        {"action": "forward", "prefix": "a@b"},
        {"action": "forward", "set_domain": "a b"},
        {"action": "forward", "strip": -1},
        {"action": "forward", "unknown": 1},
        {"action": "forward", "trust": True},
        {"action": "forward", "trust": True, "source_network": "0.0.0.0/0"},
        {"action": "forward", "trust": True, "source_network": "::/0"},
        {"action": "forward", "trust": True, "source_network": "10.0.0.0/8", "sender": "anybody"},
        {"action": "forward", "sender": "anybody"},
        {"action": "forward", "sender": "anybody", "next_hops": ["sip:a"]},
        {"action": "forward", "sender": "anybody", "methods": ["REGISTER"]},
        {"action": "forward", "sender": "anybody", "methods": ["REGISTER", "MESSAGE"], "next_hops": ["sip:a"]},
        {"action": "pool", "pool": "p", "sender": "anybody"},
    ],
)
def test_row_that_makes_no_sense_or_opens_a_relay_is_not_taken(row: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SipRouteSettings.model_validate(row)


def edge_with(*rows: dict[str, Any], **sip: Any) -> EdgeUnderTest:
    edge = EdgeUnderTest({"routes": rows, **sip})
    edge.hops.add(GATEWAY, "203.0.113.10")
    return edge


def gateway(edge: EdgeUnderTest) -> SipClient:
    return SipClient(edge, "gateway", host="203.0.113.10", port=5060)


async def routed(edge: EdgeUnderTest, uri: str, method: str = "MESSAGE") -> Request | int:
    """What the gateway gets of a request of one of our users; else the status that he gets, 0: none yet."""
    alice, server = SipClient(edge, "alice"), gateway(edge)
    server.received()
    request = alice.request(method, uri)
    if uri.startswith("tel:"):
        request.set("To", f"<{uri}>")
    alice.send(request)
    alice.send(alice.authenticated(request, alice.response()))
    await edge.settle()
    came = server.received()
    if came:
        assert isinstance(came[0], Request)
        return came[0]
    answers = alice.received()
    return answers[0].status if answers and isinstance(answers[0], Response) else 0


FORWARD = {"action": "forward", "next_hops": [f"sip:{GATEWAY}"]}


@pytest.mark.parametrize(
    ("conditions", "uri", "hit"),
    [
        ({"methods": ["MESSAGE"]}, "sip:x@far.example", True),
        ({"methods": ["INVITE", "SUBSCRIBE"]}, "sip:x@far.example", False),
        ({"listener": "udp"}, "sip:x@far.example", True),
        ({"listener": "tcp"}, "sip:x@far.example", False),
        ({"source_network": "203.0.113.0/24"}, "sip:x@far.example", True),
        ({"source_network": "10.0.0.0/8"}, "sip:x@far.example", False),
        ({"source_network": "2001:db8::/32"}, "sip:x@far.example", False),
        ({"domain": "*.example"}, "sip:x@FAR.example", True),
        ({"domain": "near.example"}, "sip:x@far.example", False),
        ({"user": "00*"}, "sip:0049@far.example", True),
        ({"user": "00*"}, "sip:%30%3049@far.example", True),
        ({"user": "00*"}, "sip:049@far.example", False),
        ({"scheme": "sips"}, "sip:x@far.example", False),
        ({"scheme": "tel"}, "tel:+1-555-0100", True),
        ({"user": "+1555*"}, "tel:+1-555-0100", True),
        ({"domain": "*"}, "tel:+1-555-0100", False),
        ({"sender": "authenticated"}, "sip:x@far.example", True),
        ({"sender": "neighbour"}, "sip:x@far.example", False),
    ],
)
async def test_row_matches_by_all_its_conditions(conditions: dict[str, Any], uri: str, *, hit: bool) -> None:
    edge = edge_with({**FORWARD, **conditions}, {"action": "refuse", "status": 410, "reason": "Gone"})
    came = await routed(edge, uri)
    assert isinstance(came, Request) if hit else came == 410


async def test_first_row_that_matches_decides() -> None:
    edge = edge_with({"action": "refuse", "domain": "far.example", "status": 488, "reason": "Not Here"}, FORWARD)
    assert await routed(edge, "sip:x@far.example") == 488
    assert isinstance(await routed(edge, "sip:x@other.example"), Request)
    assert edge.router.refused == 1


async def test_dialling_plan_takes_digits_off_and_puts_others_before() -> None:
    edge = edge_with({**FORWARD, "user": "00*", "strip": 2, "prefix": "+", "set_domain": "pstn.example"})
    came = await routed(edge, f"sip:0049301234@{DOMAIN}:5060;user=phone")
    assert isinstance(came, Request)
    assert came.uri == "sip:+49301234@pstn.example;user=phone"


async def test_number_becomes_a_sip_uri_for_a_gateway_that_wants_one_and_else_stays() -> None:
    came = await routed(edge_with({**FORWARD, "set_domain": "pstn.example"}), "tel:+1-555-0100")
    assert isinstance(came, Request)
    assert came.uri == "sip:+15550100@pstn.example;user=phone"
    came = await routed(edge_with(FORWARD), "tel:+1-555-0100")
    assert isinstance(came, Request)
    assert came.uri == "tel:+1-555-0100"


async def test_number_without_a_row_is_416() -> None:
    assert await routed(edge_with(), "tel:+15550100") == 416
    assert await routed(edge_with({"action": "location"}), "tel:+15550100") == 416
    assert await routed(edge_with({"action": "forward"}), "tel:+15550100") == 416


async def test_number_leads_to_a_registered_user_by_a_row() -> None:
    edge = edge_with({"action": "location", "scheme": "tel", "set_domain": DOMAIN, "strip": 99, "prefix": "bob"})
    bob = SipClient(edge, "bob")
    await bob.register()
    assert await routed(edge, "tel:+15550100") == 0
    assert bob.incoming().uri == bob.contact


async def test_rewriting_that_leaves_nothing_is_484() -> None:
    assert await routed(edge_with({**FORWARD, "strip": 5}), "sip:123@far.example") == 484


async def test_private_addresses_are_open_to_the_row_that_says_so_only() -> None:
    edge = edge_with({**FORWARD, "domain": "a.example", "allow_private": True}, FORWARD)
    await routed(edge, "sip:x@a.example")
    await routed(edge, "sip:x@b.example")
    assert [allowed for _, allowed, _ in edge.hops.asked] == [True, False]


async def test_next_hops_of_a_row_are_tried_one_after_the_other() -> None:
    edge = edge_with({**FORWARD, "next_hops": ["sip:missing.example", f"sip:{GATEWAY}"]})
    assert isinstance(await routed(edge, "sip:x@far.example"), Request)


async def test_requests_of_a_pool_that_fail_take_its_member_out() -> None:
    members = [{"uri": "sip:missing.example", "priority": 0}, {"uri": f"sip:{GATEWAY}", "priority": 1}]
    edge = edge_with({"action": "pool", "pool": "p"}, pools=[{"name": "p", "members": members, "failures": 1}])
    assert isinstance(await routed(edge, "sip:x@far.example"), Request)
    assert [member.state.value for member in edge.router.pools["p"].members] == ["probing", "active"]


def stored(**fields: Any) -> SipRouteRow:
    row = {"id": 7, "priority": 0, "name": "", "listener": None, "source_network": None, "methods": "", "scheme": None}
    row |= {"user": None, "domain": None, "sender": None, "action": "refuse", "service": "", "pool": ""}
    row |= {"next_hops": "", "status": 403, "reason": "Forbidden", "trust": False, "allow_private": False, "strip": 0}
    return SipRouteRow(**{**row, "prefix": "", "set_domain": "", "answer": None, **fields})


def member(pool: str, uri: str) -> SipPoolMemberRow:
    return SipPoolMemberRow(id=9, pool=pool, uri=uri, weight=1, priority=0, enabled=True)


async def test_rows_of_the_database_come_after_those_of_the_settings() -> None:
    edge = edge_with({**FORWARD, "domain": "far.example"})
    edge.router.use([stored(methods="MESSAGE, INVITE", status=410, reason="Gone")], [])
    assert isinstance(await routed(edge, "sip:x@far.example"), Request)
    assert await routed(edge, "sip:x@near.example") == 410


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"action": "nonsense"}, "wigwag_sip_route, id 7: action"),
        ({"listener": "none"}, "there is no listener none"),
        ({"action": "pool", "pool": "none"}, "there is no pool none"),
        ({"source_network": "10.0.0.1/8"}, "wigwag_sip_route, id 7: source_network"),
    ],
)
async def test_bad_row_of_the_database_leaves_the_table_as_it_was(row: dict[str, Any], complaint: str) -> None:
    edge = edge_with({"action": "refuse", "status": 410})
    with pytest.raises(ConfigurationError, match=complaint):
        edge.router.use([stored(), stored(**row)], [member("p", f"sip:{GATEWAY}")])
    assert len(edge.router.table) == 1
    assert edge.router.pools == {}


async def test_pool_of_the_database_serves_a_row() -> None:
    edge = edge_with()
    edge.router.use([stored(action="pool", pool="p")], [member("p", f"sip:{GATEWAY}")])
    assert isinstance(await routed(edge, "sip:x@far.example"), Request)


async def test_bad_member_of_the_database_is_named() -> None:
    with pytest.raises(ConfigurationError, match="wigwag_sip_pool_member, id 9: uri"):
        edge_with().router.use([], [member("p", "mailto:a@b")])


async def test_neighbour_by_row_is_believed_without_a_proof() -> None:
    row = {"action": "location", "trust": True, "source_network": "192.0.2.0/24", "methods": ["MESSAGE"]}
    edge = edge_with(row)
    bob, inside = SipClient(edge, "bob"), SipClient(edge, "inside", host="192.0.2.7")
    await bob.register()
    inside.send(inside.message("bob"))
    await edge.settle()
    assert bob.incoming().body == b"hello"
    inside.send(inside.request("INVITE", f"sip:bob@{DOMAIN}"))
    assert inside.response().status in (403, 407)
    assert SipClient(edge, "x", host=TRUSTED).remote[0] == TRUSTED
