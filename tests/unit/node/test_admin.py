import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import APIRouter

from tests.support.fake_relay import FakeRelayModule
from wigwag.errors import ConfigurationError
from wigwag.node.admin import admin_application
from wigwag.node.node_status import NodeStatus
from wigwag.node.server import AdminServer
from wigwag.node.settings import AdminSettings, TokenSettings
from wigwag.runtime.telemetry import Telemetry

READ, OPERATE = "r" * 16, "o" * 16
TOKENS = (TokenSettings(token=READ, role="read"), TokenSettings(token=OPERATE, role="operate"))


@asynccontextmanager
async def served(
    module: FakeRelayModule | None = None, tokens: Sequence[TokenSettings] = (), routers: Sequence[APIRouter] = ()
) -> AsyncIterator[httpx.AsyncClient]:
    module = module or FakeRelayModule()
    settings = AdminSettings(port=0, tokens=tuple(tokens))
    telemetry = Telemetry("1")
    telemetry.register(module.readings)
    status = NodeStatus(["relay"], now=time.time)
    module.tree = status.tree
    status.running()
    module.can_serve(True)
    application = admin_application(
        settings, {"relay": module}, telemetry, version="1", readiness=status.readiness, routers=routers
    )
    async with AdminServer(settings, application) as server, httpx.AsyncClient(base_url=server.url) as client:
        yield client
    telemetry.close()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_living_process_says_so() -> None:
    async with served() as client:
        answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


async def test_readiness_is_that_of_any_service() -> None:
    module = FakeRelayModule()
    async with served(module) as client:
        ready = await client.get("/readyz")
        module.can_serve(False)
        not_ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()["services"]["relay"]) == (200, {"ready": True, "listeners": 1})
    assert (not_ready.status_code, not_ready.json()["ready"]) == (503, False)


async def test_metrics_show_the_relays_counters() -> None:
    async with served(FakeRelayModule(sessions=3)) as client:
        text = (await client.get("/metrics")).text
    assert "wigwag_relay_auth_successes_total{" in text
    (line,) = [line for line in text.splitlines() if line.startswith("wigwag_relay_sessions{") and "active" in line]
    assert line.endswith(" 3.0")


async def test_sessions_come_in_pages_that_add_up_to_all_of_them() -> None:
    found: list[str] = []
    async with served(FakeRelayModule(sessions=7)) as client:
        after = None
        while True:
            query = {"limit": "3"} | ({"after": after} if after else {})
            page = (await client.get("/v1/relay/sessions", params=query)).json()
            found += [session["id"] for session in page["sessions"]]
            after = page["next"]
            if after is None:
                break
    assert found == [f"{index:016x}" for index in range(7)]


@pytest.mark.parametrize(("user", "count"), [("alice", 1), ("alice@example.com", 1), ("alice@other", 0), ("bob", 0)])
async def test_sessions_are_filtered_by_user(user: str, count: int) -> None:
    async with served() as client:
        page = (await client.get("/v1/relay/sessions", params={"user": user})).json()
    assert len(page["sessions"]) == count


async def test_a_session_can_be_shown_and_ended() -> None:
    module = FakeRelayModule()
    path = "/v1/relay/sessions/" + "0" * 16
    async with served(module) as client:
        assert (await client.get(path)).json()["user"] == "alice"
        assert (await client.delete(path)).status_code == 204
        gone = await client.get(path)
    assert gone.status_code == 404
    assert gone.headers["content-type"] == "application/problem+json"
    assert gone.json() == {"title": "Not Found", "status": 404, "detail": "no session " + "0" * 16}


async def test_a_connection_is_shown_with_the_profile_that_holds_for_it() -> None:
    async with served() as client:
        assert (await client.get("/v1/relay/connections/1")).json()["profile"] == {
            "id": 7,
            "proto": "any",
            "priority": 0,
        }
        assert (await client.get("/v1/relay/connections", params={"after": 1})).json() == []


async def test_reloads_are_asked_of_the_module() -> None:
    module = FakeRelayModule()
    async with served(module) as client:
        dry = await client.post("/v1/relay/profiles/reload", params={"dry_run": "true"})
        assert (await client.post("/v1/relay/profiles/reload")).json()["applied"] is True
        assert (await client.post("/v1/relay/routes/reload")).json() == {"routes": 3}
    assert dry.json()["applied"] is False
    assert module.calls == ["profiles dry_run=True", "profiles dry_run=False", "routes"]


async def test_a_trace_runs_once_and_ends() -> None:
    async with served() as client:
        assert (await client.post("/v1/relay/trace", json={"user": "a@b"})).status_code == 201
        assert (await client.post("/v1/relay/trace", json={"user": "a@b"})).status_code == 409
        assert [trace["selector"] for trace in (await client.get("/v1/relay/trace")).json()] == ["a@b"]
        assert (await client.post("/v1/relay/trace/stop", json={"user": "a@b"})).status_code == 200
        assert (await client.post("/v1/relay/trace/stop", json={"user": "a@b"})).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v1/relay/sessions?limit=0", None, 422),
        ("GET", "/v1/relay/sessions?limit=100000", None, 422),
        ("GET", "/v1/relay/connections/x", None, 422),
        ("POST", "/v1/relay/trace", {"user": "a", "session": "b"}, 422),
        ("POST", "/v1/relay/trace", {"usr": "a"}, 422),
        ("GET", "/v1/nothing", None, 404),
        ("PUT", "/v1/relay/sessions", None, 405),
    ],
)
async def test_a_wrong_request_is_answered_with_a_problem(
    method: str, path: str, body: dict[str, str] | None, status: int
) -> None:
    async with served() as client:
        answer = await client.request(method, path, json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


@pytest.mark.parametrize(
    ("token", "method", "path", "status"),
    [
        (None, "GET", "/healthz", 200),
        (None, "GET", "/readyz", 200),
        (None, "POST", "/healthz", 401),
        (None, "GET", "/metrics", 401),
        (None, "GET", "/v1/relay/sessions", 401),
        (None, "GET", "/v1/openapi.json", 401),
        (None, "GET", "/v1/nothing", 401),
        ("x" * 16, "GET", "/metrics", 401),
        ("r" * 15, "GET", "/metrics", 401),
        (READ, "GET", "/metrics", 200),
        (READ, "GET", "/v1/relay/sessions", 200),
        (READ, "DELETE", "/v1/relay/sessions/1", 403),
        (READ, "POST", "/v1/relay/routes/reload", 403),
        (READ, "OPTIONS", "/v1/relay/sessions", 403),
        (OPERATE, "GET", "/v1/relay/sessions", 200),
        (OPERATE, "POST", "/v1/relay/routes/reload", 200),
    ],
)
async def test_a_token_opens_what_its_role_may(token: str | None, method: str, path: str, status: int) -> None:
    async with served(tokens=TOKENS) as client:
        answer = await client.request(method, path, headers=bearer(token) if token is not None else {})
    assert answer.status_code == status
    assert ("www-authenticate" in answer.headers) == (status == 401)


async def test_readiness_tells_details_only_to_those_who_may_read() -> None:
    async with served(tokens=TOKENS) as client:
        assert (await client.get("/readyz")).json() == {"ready": True}
        assert "services" in (await client.get("/readyz", headers=bearer(READ))).json()


@pytest.mark.parametrize("host", ["attacker.example", "attacker.example:8080", "127.0.0.1.attacker.example", "", "[::"])
async def test_a_name_that_was_made_to_point_here_is_refused(host: str) -> None:
    async with served() as client:
        answer = await client.get("/v1/relay/sessions", headers={"Host": host})
    assert answer.status_code in (400, 421)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:99", "127.0.0.1", "127.8.8.8:1", "[::1]:8080"])
async def test_a_name_of_this_machine_is_served(host: str) -> None:
    async with served() as client:
        assert (await client.get("/healthz", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize("origin", ["https://attacker.example", "null", "http://localhost:1", "http://["])
async def test_another_origin_is_refused_whatever_it_asks(origin: str) -> None:
    module = FakeRelayModule()
    async with served(module) as client:
        answer = await client.post("/v1/relay/routes/reload", headers={"Origin": origin})
    assert answer.status_code == 403
    assert module.calls == []


async def test_the_own_origin_is_served() -> None:
    async with served() as client:
        origin = str(client.base_url).rstrip("/")
        assert (await client.post("/v1/relay/routes/reload", headers={"Origin": origin})).status_code == 200


@pytest.mark.parametrize("header", ["Content-Length: 10000000", "Transfer-Encoding: chunked"])
async def test_a_body_without_bounds_is_refused_before_it_is_read(header: str) -> None:
    async with served() as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        writer.write(f"POST /v1/relay/trace HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n".encode())
        async with asyncio.timeout(5):
            assert b" 413 " in await reader.readline()
        writer.close()


async def test_a_port_in_use_is_named_with_its_setting() -> None:
    async with served() as client:
        settings = AdminSettings(port=client.base_url.port or 0)
        with pytest.raises(ConfigurationError, match=r"admin.port: 127.0.0.1 port \d+ is in use.*WIGWAG_ADMIN__PORT"):
            async with AdminServer(settings, FakeRelayModule):
                pass


async def test_an_address_of_another_machine_is_named_with_its_setting() -> None:
    settings = AdminSettings(host="192.0.2.1", port=0, tokens=TOKENS)
    with pytest.raises(ConfigurationError, match=r"admin.host: 192.0.2.1"):
        async with AdminServer(settings, FakeRelayModule):
            pass


async def test_a_bug_is_answered_with_a_problem_that_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    module = FakeRelayModule()
    async with served(module) as client:
        monkeypatch.setattr(module.relay, "find_sessions", lambda wanted: 1 / 0)
        answer = await client.get("/v1/relay/sessions")
        monkeypatch.undo()
    assert answer.status_code == 500
    assert "zero" not in answer.text
