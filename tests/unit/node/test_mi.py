"""MI over HTTP: roles, tokens, and what a caller sees."""

import json
import time
from typing import Any

import httpx
import pytest

from tests.support.fake_relay import FakeRelayModule
from tests.unit.node.test_admin import OPERATE, READ, TOKENS, bearer, served
from wigwag.node.mi import mi_router
from wigwag.node.mi_core import core_commands, statistics_commands
from wigwag.runtime.management import Commands


def commands_of(module: FakeRelayModule) -> Commands:
    commands = Commands()
    commands.add(*core_commands(commands, version="1.2", started=time.time() - 60, now=time.time))
    commands.add(*statistics_commands([module.readings], started=time.time() - 60, now=time.time))
    commands.add(*module.commands)
    return commands


async def call(client: httpx.AsyncClient, method: str, arguments: Any = None, **request: Any) -> Any:
    body = {"jsonrpc": "2.0", "id": "1", "method": method, "params": arguments if arguments is not None else {}}
    answer = await client.post("/mi", json=body, **request)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


async def test_which_lists_old_and_new_spellings_and_tells_parameters() -> None:
    module = FakeRelayModule()
    async with served(module, routers=[mi_router(commands_of(module))]) as client:
        names = (await call(client, "which"))["result"]
        recipes = (await call(client, "which", {"command": "statistics:list"}))["result"]
    assert {"which", "tcp_reload", "tcp_mgm:reload", "get_statistics", "wigwag:sessions"} <= set(names)
    assert recipes == [[], ["statistics"]]


async def test_what_every_process_answers() -> None:
    module = FakeRelayModule()
    async with served(module, routers=[mi_router(commands_of(module))]) as client:
        assert (await call(client, "version"))["result"] == {"Server": "Wigwag (1.2)"}
        uptime = (await call(client, "uptime"))["result"]
        assert set(uptime) == {"Now", "Up since", "Up time"}
        assert int(uptime["Up time"].split()[0]) >= 60
        assert (await call(client, "ps"))["result"]["Processes"][0]["Type"] == "wigwag"
        assert (await call(client, "help", ["tcp_reload"]))["result"]["Names"] == ["tcp_mgm:reload", "tcp_reload"]


@pytest.mark.parametrize(
    ("wanted", "some", "others"),
    [
        (["relay:"], "relay:auth_successes", "core:timestamp"),
        (["core:timestamp"], "core:timestamp", "relay:auth_successes"),
        (["auth_successes"], "relay:auth_successes", "core:timestamp"),
        (["core:", "relay:sessions.active"], "relay:sessions.active", "relay:auth_successes"),
    ],
)
async def test_statistics_are_chosen_by_group_or_name(wanted: list[str], some: str, others: str) -> None:
    module = FakeRelayModule(sessions=3)
    async with served(module, routers=[mi_router(commands_of(module))]) as client:
        found = (await call(client, "get_statistics", [wanted]))["result"]
        missing = await call(client, "get_statistics", [["nothing:"]])
    assert some in found
    assert others not in found
    assert missing["error"] == {"code": 404, "message": "Statistics Not Found: nothing:"}


async def test_the_relays_commands_reach_its_use_cases() -> None:
    module = FakeRelayModule(sessions=2)
    async with served(module, routers=[mi_router(commands_of(module))]) as client:
        assert (await call(client, "tcp_reload"))["result"] == "OK"
        assert (await call(client, "wigwag:reload_routes"))["result"] == {"routes": 3}
        assert (await call(client, "wigwag:reload_certificates"))["result"] == {"tls": "reloaded"}
        sessions = (await call(client, "wigwag:sessions", {"user": "alice", "limit": "1"}))["result"]["Sessions"]
        assert [view["user"] for view in sessions] == ["alice"]
        assert (await call(client, "wigwag:end_session", [sessions[0]["id"]]))["result"] == "OK"
        again = await call(client, "wigwag:end_session", [sessions[0]["id"]])
        wrong = await call(client, "wigwag:sessions", {"limit": "0"})
    assert again["error"]["code"] == 404
    assert wrong["error"]["code"] == -32602
    assert module.calls == ["profiles dry_run=False", "routes", "reload certificates"]


async def test_a_drain_is_begun_looked_at_and_taken_back() -> None:
    module = FakeRelayModule()
    drain = module.drain_control
    async with served(module, routers=[mi_router(commands_of(module))]) as client:
        assert (await call(client, "wigwag:drain"))["result"]["connections"] == 2
        assert (await call(client, "wigwag:drain", {"grace": "2.5"}))["result"]["state"] == "draining"
        assert (await call(client, "wigwag:undrain"))["result"]["state"] == "serving"
        drain.too_late = True
        refused = await call(client, "wigwag:undrain")
        wrong = [await call(client, "wigwag:drain", [grace]) for grace in ("soon", "-1", "nan", "inf", "1e9")]
    assert drain.graces == [None, 2.5]
    assert refused["error"] == {"code": 409, "message": "connections are being closed"}
    assert {answer["error"]["code"] for answer in wrong} == {-32602}


@pytest.mark.parametrize(
    ("role", "method", "code"),
    [
        (READ, "which", None),
        (READ, "uptime", None),
        (READ, "wigwag:sessions", None),
        (READ, "tcp_reload", 403),
        (READ, "wigwag:drain", 403),
        (OPERATE, "which", None),
        (OPERATE, "tcp_reload", None),
    ],
)
@pytest.mark.parametrize("by", ["header", "query"])
async def test_reading_commands_need_the_role_read_and_others_operate(
    role: str, method: str, code: int | None, by: str
) -> None:
    module = FakeRelayModule()
    request = {"headers": bearer(role)} if by == "header" else {"params": {"token": role}}
    async with served(module, tokens=TOKENS, routers=[mi_router(commands_of(module))]) as client:
        answer = await call(client, method, **request)
    assert answer.get("error", {}).get("code") == code
    assert bool(module.calls) == (method == "tcp_reload" and role == OPERATE)


async def test_a_batch_of_a_reader_changes_nothing() -> None:
    module = FakeRelayModule()
    batch = [{"jsonrpc": "2.0", "id": index, "method": name} for index, name in enumerate(("which", "tcp_reload"))]
    async with served(module, tokens=TOKENS, routers=[mi_router(commands_of(module))]) as client:
        answers = (await client.post("/mi", json=batch, headers=bearer(READ))).json()
        notified = await client.post("/mi", json={"jsonrpc": "2.0", "method": "tcp_reload"}, headers=bearer(READ))
    assert [answer.get("error", {}).get("code") for answer in answers] == [None, 403]
    assert (notified.status_code, notified.content, module.calls) == (204, b"", [])


@pytest.mark.parametrize("query", ["", "token=", "token=wrong", f"token={READ[:-1]}", "token=%00%ff", "tokens=" + READ])
async def test_without_a_token_that_is_known_nothing_is_read(query: str) -> None:
    module = FakeRelayModule()
    async with served(module, tokens=TOKENS, routers=[mi_router(commands_of(module))]) as client:
        answer = await client.post(f"/mi?{query}", json={"jsonrpc": "2.0", "id": 1, "method": "which"})
    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/metrics", "/v1/relay/sessions", "/mi/", "/mi/x"])
async def test_a_token_in_a_url_opens_nothing_else(path: str) -> None:
    async with served(tokens=TOKENS) as client:
        assert (await client.get(f"{path}?token={OPERATE}")).status_code == 401


async def test_a_token_in_a_url_is_never_logged(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = FakeRelayModule()
    async with served(module, tokens=TOKENS, routers=[mi_router(commands_of(module))]) as client:
        monkeypatch.setattr(module.relay, "find_sessions", lambda wanted: 1 / 0)
        answer = await call(client, "wigwag:sessions", params={"token": OPERATE})
        monkeypatch.undo()
        await client.post(f"/mi?token={OPERATE}", content=b"{")
    assert answer["error"]["code"] == -32603
    out, err = capfd.readouterr()
    assert "a command failed" in out + err
    assert OPERATE not in out + err


async def test_a_page_of_another_origin_cannot_call_commands() -> None:
    module = FakeRelayModule()
    async with served(module, routers=[mi_router(commands_of(module))]) as client:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tcp_reload"})
        headers = {"Origin": "https://attacker.example", "Content-Type": "text/plain"}
        assert (await client.post("/mi", content=body, headers=headers)).status_code == 403
        assert (await client.get("/mi")).status_code == 405
    assert module.calls == []
