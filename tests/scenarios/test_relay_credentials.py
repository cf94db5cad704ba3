"""Who may AUTH at the running relay: users of the settings, of the database, and of an HTTP service."""

import asyncio

from tests.scenarios.conftest import Hooks
from tests.support.http_server import answer
from tests.support.live_relay import DOMAIN, MUTE, PASSWORDS, Clients
from tests.support.waiting import until


async def test_a_user_added_by_command_may_use_the_relay_until_removed(clients: Clients) -> None:
    node, uri = clients.node, clients.uri("tls")
    assert await (await clients.connect("tls")).auth(uri, "dora", "opensesame") == 401
    assert node.command("user", "add", f"dora@{DOMAIN}", text="opensesame\n").returncode == 0
    dora = await clients.connect("tls")
    assert await dora.auth(uri, "dora", "opensesame") == 200
    assert await (await clients.connect("tls")).auth(uri, "dora", "Opensesame") == 401
    bob = await clients.join("bob")
    message, _ = await bob.send(bob.path_to(dora), b"welcome")
    assert (await dora.message(message)).body == b"welcome"
    assert node.command("user", "remove", f"dora@{DOMAIN}").returncode == 0
    assert await (await clients.connect("tls")).auth(uri, "dora", "opensesame") == 401


async def test_a_known_user_without_the_right_to_relay_gets_403(clients: Clients) -> None:
    client = await clients.connect()
    assert await client.auth(clients.uri(), MUTE, "wrong") == 401
    assert await client.auth(clients.uri(), MUTE, PASSWORDS[MUTE]) == 403
    assert (await client.send(f"{clients.uri()} msrp://else.invalid:1/x;tcp"))[1] == 481


async def test_an_http_service_knows_further_users(bridged: Clients, hooks: Hooks) -> None:
    hooks.credentials.respond = answer(200, {"password": "from-afar"})
    emil = await bridged.connect()
    assert await emil.auth(bridged.uri(), "emil", "from-afar") == 200
    assert [body for _, _, body in hooks.credentials.requests][:1] == [{"username": "emil", "domain": DOMAIN}]
    hooks.credentials.respond = answer(200, {"password": "from-afar", "may_relay": False})
    assert await (await bridged.connect()).auth(bridged.uri(), "emil", "from-afar") == 403
    hooks.credentials.respond = answer(404, {})
    assert await (await bridged.connect()).auth(bridged.uri(), "emil", "from-afar") == 401


async def test_users_of_the_settings_are_never_asked_about(bridged: Clients, hooks: Hooks) -> None:
    await bridged.join("alice")
    assert hooks.credentials.requests == []


async def test_a_slow_service_refuses_only_those_whom_it_is_asked_about(bridged: Clients, hooks: Hooks) -> None:
    let_go = asyncio.Event()

    async def stall(_: asyncio.StreamWriter) -> None:
        await let_go.wait()

    hooks.credentials.respond = stall
    slow = await bridged.connect()
    waiting = asyncio.ensure_future(slow.auth(bridged.uri(), "emil", "from-afar"))
    await until(lambda: hooks.credentials.requests, 20)
    alice, bob = await bridged.join("alice"), await bridged.join("bob")
    message, status = await alice.send(alice.path_to(bob))
    assert status == 200
    await bob.message(message)
    assert await waiting == 403
    let_go.set()
    assert any(line["event"] == "credentials are not available" for line in bridged.node.log_lines())


async def test_a_broken_service_refuses_and_the_connection_may_try_again(bridged: Clients, hooks: Hooks) -> None:
    client = await bridged.connect()
    for nonsense in (answer(500, {}), answer(200, b"[]"), answer(200, {"password": 5}), b"HTTP/1.1 banana\r\n\r\n"):
        hooks.credentials.respond = nonsense
        assert await client.auth(bridged.uri(), "emil", "from-afar") == 403
    hooks.credentials.respond = answer(200, {"password": "from-afar"})
    assert await client.auth(bridged.uri(), "emil", "from-afar") == 200
