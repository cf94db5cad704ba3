"""Routing at work: OPTIONS to members, the hook, what operators see and change, rows of a real database."""

import inspect
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from tests.support.sip_edge import DOMAIN, EdgeUnderTest, SipClient
from wigwag.database import Database
from wigwag.errors import ConfigurationError, NotFoundError
from wigwag.protocols.sip import Request, parse_datagram
from wigwag.relay.sip.routing.mi import routing_commands
from wigwag.relay.sip.routing.pinging import Pinger
from wigwag.relay.sip.routing.router import Router
from wigwag.relay.sip.routing.web import routing_router
from wigwag.relay.sip.routing.work import RoutingWork
from wigwag.runtime.http_hook import HookTimeoutError, HttpHook
from wigwag.runtime.management import ArgumentError, Commands
from wigwag.runtime.status import StatusTree

GATEWAY = "gateway.example"
ADDRESS = ("203.0.113.10", 5060)
POOL = {"name": "p", "members": [{"uri": f"sip:{GATEWAY}"}], "failures": 1}


def watched(**settings: Any) -> tuple[EdgeUnderTest, Pinger]:
    edge = EdgeUnderTest({"pools": [{**POOL, **settings}]})
    edge.hops.add(GATEWAY, ADDRESS[0])
    runtime = edge.runtime
    pinger = Pinger(edge.edge, pools=lambda: edge.router.pools, spawn=runtime.spawn, random=runtime.random)
    return edge, pinger


def state(edge: EdgeUnderTest) -> str:
    return edge.router.pools["p"].members[0].state.value


async def ping(edge: EdgeUnderTest, pinger: Pinger) -> None:
    pinger.tick(edge.runtime.time)
    await edge.settle()


async def test_member_is_asked_by_options_and_brought_back_by_its_answer() -> None:
    edge, pinger = watched(ping_timeout=4)
    gateway = SipClient(edge, "gateway", host=ADDRESS[0], port=ADDRESS[1])
    await ping(edge, pinger)
    options = gateway.incoming()
    assert (options.method, options.uri, options.cseq.method) == ("OPTIONS", f"sip:{GATEWAY}", "OPTIONS")
    edge.pass_time(4.0)
    await ping(edge, pinger)
    assert state(edge) == "probing"
    gateway.answer(options, 405, "Method Not Allowed")
    assert state(edge) == "active"
    assert edge.edge.transactions._waiting == {}


async def test_member_that_the_network_refuses_is_down_at_once() -> None:
    edge, pinger = watched()
    await ping(edge, pinger)
    edge.edge.datagram_failed("udp", ADDRESS, ConnectionRefusedError(111, "Connection refused"))
    assert state(edge) == "probing"


async def test_member_that_cannot_be_found_is_down() -> None:
    edge, pinger = watched(members=[{"uri": "sip:missing.example"}])
    await ping(edge, pinger)
    assert state(edge) == "probing"


async def test_want_of_transactions_says_nothing_of_a_member() -> None:
    edge, pinger = watched()
    edge.edge.transactions._limit = 1
    edge.edge.transactions.clients["held"] = cast("Any", object())
    await ping(edge, pinger)
    assert state(edge) == "active"
    del edge.edge.transactions.clients["held"]
    await ping(edge, pinger)
    assert edge.socket.sent[ADDRESS]


# The hook


class Hook:
    """Answers as the test says."""

    def __init__(self, answer: Mapping[str, Any] | Exception | None) -> None:
        self.answer = answer
        self.asked: list[Mapping[str, Any]] = []

    async def ask(self, question: Mapping[str, Any]) -> Mapping[str, Any] | None:
        self.asked.append(question)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


ROWS = [{"action": "refuse", "status": 410, "reason": "Gone"}]


async def asked(answer: Mapping[str, Any] | Exception | None, **hook: str) -> tuple[int, Hook, EdgeUnderTest]:
    """The status that a user's request ends with (0: it was passed on to the gateway), by a hook's answer."""
    hooked = Hook(answer)
    settings = {"url": "http://hook.example", **hook}
    edge = EdgeUnderTest({"routes": ROWS, "pools": [POOL], "route_hook": settings})
    router = Router(edge.settings.sip, now=edge.runtime.now, hook=cast("HttpHook", hooked))
    edge.edge.neighbours.routing = router
    edge.router = router
    edge.hops.add(GATEWAY, ADDRESS[0])
    alice = SipClient(edge, "alice")
    request = alice.message("sip:x@far.example")
    alice.send(request)
    alice.send(alice.authenticated(request, alice.response()))
    await edge.settle()
    if ADDRESS in edge.socket.sent:
        assert isinstance(parse_datagram(edge.socket.sent[ADDRESS][0]), Request)
        return 0, hooked, edge
    return alice.response().status, hooked, edge


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (None, 410),
        ({"action": "forward", "next_hops": [f"sip:{GATEWAY}"]}, 0),
        ({"action": "pool", "pool": "p"}, 0),
        ({"action": "refuse", "status": 486, "reason": "Busy Here"}, 486),
        ({"action": "location"}, 480),
        ({"action": "pool", "pool": "unknown"}, 503),
        ({"action": "forward", "trust": True, "source_network": "10.0.0.0/8"}, 503),
        ({"action": "forward", "next_hops": ["nonsense"]}, 503),
        ({"action": ["forward"]}, 503),
        ({}, 503),
        (HookTimeoutError("no answer"), 503),
    ],
)
async def test_hook_decides_in_place_of_the_table(answer: Mapping[str, Any] | Exception | None, status: int) -> None:
    found, hook, edge = await asked(answer)
    assert found == status
    assert edge.router.hook_failures == (status == 503)
    assert hook.asked == [
        {
            "listener": "udp",
            "transport": "udp",
            "source": "203.0.113.1",
            "method": "MESSAGE",
            "uri": "sip:x@far.example",
            "from": f"sip:alice@{DOMAIN}",
            "to": "sip:x@far.example",
            "sender": "authenticated",
            "user": f"sip:alice@{DOMAIN}",
        }
    ]


async def test_table_decides_when_the_hook_fails_if_that_is_wanted() -> None:
    assert (await asked(HookTimeoutError("no answer"), on_failure="table"))[0] == 410


async def test_hook_that_fails_and_answers_again_is_told() -> None:
    _, hook, edge = await asked(HookTimeoutError("no answer"))
    status = StatusTree(edge.runtime.wall)
    work = RoutingWork(edge.router, database=None, status=status)
    work.look()
    assert not status.group("sip_routes").identifier("hook").ready
    hook.answer = None
    alice = SipClient(edge, "alice")
    await alice.exchange(alice.message("sip:x@far.example"))
    work.look()
    assert status.group("sip_routes").identifier("hook").ready


# Operators


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(f"sqlite:///{tmp_path / 'routes.db'}") as opened:
        yield opened


def work_of(edge: EdgeUnderTest, database: Database) -> tuple[RoutingWork, StatusTree]:
    status = StatusTree(edge.runtime.wall)
    return RoutingWork(edge.router, database=database, status=status), status


async def insert(database: Database, statement: str) -> None:
    async with database.transaction(write=True) as connection:
        await connection.exec_driver_sql(statement)


async def test_rows_written_to_the_database_are_in_force_after_a_reload(database: Database) -> None:
    edge = EdgeUnderTest()
    work, status = work_of(edge, database)
    assert await work.reload() == 0
    await insert(database, "INSERT INTO wigwag_sip_pool_member (pool, uri) VALUES ('p', 'sip:203.0.113.10')")
    await insert(database, "INSERT INTO wigwag_sip_route (priority, action, pool) VALUES (5, 'pool', 'p')")
    await insert(
        database,
        "INSERT INTO wigwag_sip_route (priority, action, methods, user_pattern, source_network, status)"
        " VALUES (1, 'refuse', 'INVITE, MESSAGE', '00*', '192.0.2.0/24', 410)",
    )
    assert await work.reload() == 2
    assert work.routes() == [
        {
            "number": 1,
            "action": "refuse",
            "methods": ["INVITE", "MESSAGE"],
            "user": "00*",
            "source_network": "192.0.2.0/24",
            "status": 410,
        },
        {"number": 2, "action": "pool", "pool": "p"},
    ]
    assert status.group("sip_routes").identifier().details == "2 SIP routes and 1 pools loaded"


async def test_bad_row_leaves_what_was_in_force_and_is_told(database: Database) -> None:
    edge = EdgeUnderTest({"routes": ROWS})
    work, status = work_of(edge, database)
    await work.reload()
    await insert(database, "INSERT INTO wigwag_sip_route (action, sender) VALUES ('forward', 'anybody')")
    with pytest.raises(ConfigurationError, match=r"id 1: .*anybody may not be forwarded"):
        await work.reload()
    assert len(edge.router.table) == 1
    identifier = status.group("sip_routes").identifier()
    assert identifier.ready
    assert "anybody may not be forwarded" in identifier.details


async def run(commands: Commands, name: str, **arguments: str) -> Any:
    command = commands.find(name)
    assert command is not None
    result = command.run(command.bind(arguments))
    return await result if inspect.isawaitable(result) else result


async def test_members_are_listed_and_set_as_opensips_does(database: Database) -> None:
    edge = EdgeUnderTest({"pools": [POOL]})
    work, status = work_of(edge, database)
    commands = Commands(routing_commands(work))
    await run(commands, "ds_reload")
    listed = await run(commands, "ds_list")
    destination = {"URI": f"sip:{GATEWAY}", "state": "Active", "first_hit_counter": 0, "weight": 1, "priority": 0}
    assert listed == {"PARTITIONS": [{"name": "default", "SETS": [{"id": "p", "Destinations": [destination]}]}]}
    await run(commands, "dispatcher:set_state", state="i", group="p", address=f"sip:{GATEWAY}")
    assert state(edge) == "inactive"
    assert not status.group("sip_pools").identifier("p").ready
    with pytest.raises(ArgumentError):
        await run(commands, "ds_set_state", state="x", group="p", address=f"sip:{GATEWAY}")
    with pytest.raises(NotFoundError):
        await run(commands, "ds_set_state", state="a", group="q", address=f"sip:{GATEWAY}")


async def test_members_are_listed_and_set_over_http(database: Database) -> None:
    edge = EdgeUnderTest({"pools": [POOL], "routes": ROWS})
    work, _ = work_of(edge, database)
    application = FastAPI()
    application.include_router(routing_router(work))
    async with AsyncClient(transport=ASGITransport(application), base_url="http://admin") as client:
        assert (await client.get("/v1/relay/sip/routes")).json()[0]["status"] == 410
        order = {"uri": f"sip:{GATEWAY}", "state": "inactive"}
        assert (await client.post("/v1/relay/sip/pools/p/state", json=order)).status_code == 204
        (pool,) = (await client.get("/v1/relay/sip/pools")).json()
        assert pool["members"][0]["state"] == "inactive"
        refused = await client.post("/v1/relay/sip/pools/p/state", json={**order, "state": "gone"})
        assert refused.status_code == 422
