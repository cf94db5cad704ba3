import json
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic import ValidationError

from tests.support.fake_relay import FakeRelayModule
from tests.support.rpc import RelayService
from wigwag.api.relay.v1 import relay_pb2
from wigwag.api.relay.v1.relay_pb2_grpc import RelayServiceStub
from wigwag.node.application import Node
from wigwag.node.data_directory import AdminNote
from wigwag.node.settings import RpcSettings, Settings
from wigwag.runtime.rpc import open_channel

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
TOKEN = {"token": "t" * 16, "role": "operate"}


def node_in(directory: Path, module: FakeRelayModule, **rpc: Any) -> Node:
    settings = Settings.model_validate({"node": {"data_dir": directory}, "admin": {"port": 0}, "rpc": rpc})
    return Node(settings, ["relay"], constructors={"relay": module.hosted_by})


def relay_module() -> FakeRelayModule:
    module = FakeRelayModule()
    module.rpc_services = (RelayService().service,)
    return module


async def health(channel: grpc.aio.Channel) -> Any:
    return (await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())).status


async def test_the_note_says_where_grpc_is_and_the_services_answer_there(tmp_path: Path) -> None:
    async with node_in(tmp_path, relay_module()) as node:
        target = AdminNote(tmp_path).rpc()
        assert target == node.rpc_target
        async with open_channel(target or "") as channel:
            page = await RelayServiceStub(channel).ListSessions(relay_pb2.ListSessionsRequest())
    assert len(page.sessions) == 1
    assert AdminNote(tmp_path).rpc() is None


async def test_health_is_what_the_module_says_until_the_node_drains(tmp_path: Path) -> None:
    module = relay_module()
    async with node_in(tmp_path, module) as node, open_channel(node.rpc_target) as channel:
        ready = await health(channel)
        module.can_serve(False)
        broken = await health(channel)
        module.can_serve(True)
        await node.drain()
        draining = await health(channel)
    assert (ready, broken, draining) == (SERVING, NOT_SERVING, NOT_SERVING)


async def test_the_tokens_of_the_settings_are_asked_for(tmp_path: Path) -> None:
    async with node_in(tmp_path, relay_module(), tokens=[TOKEN]) as node:
        async with open_channel(node.rpc_target, token=TOKEN["token"]) as channel:
            await RelayServiceStub(channel).GetDrain(relay_pb2.GetDrainRequest())
        async with open_channel(node.rpc_target) as channel:
            with pytest.raises(grpc.aio.AioRpcError, match="a bearer token is needed"):
                await RelayServiceStub(channel).GetDrain(relay_pb2.GetDrainRequest())


def test_a_note_of_an_older_node_names_no_grpc(tmp_path: Path) -> None:
    note = AdminNote(tmp_path)
    note.path.write_text(json.dumps({"url": "http://127.0.0.1:1", "process": 1}))
    assert (note.url(), note.rpc()) == ("http://127.0.0.1:1", None)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"host": "0.0.0.0"}, "rpc.tokens or rpc.client_ca has to be set"),
        ({"host": "0.0.0.0", "certificate": ("a", "b")}, "rpc.tokens or rpc.client_ca has to be set"),
        ({"client_ca": "ca.pem"}, "rpc.client_ca needs rpc.certificate"),
    ],
)
def test_what_would_let_anybody_in_is_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        RpcSettings.model_validate(settings)


@pytest.mark.parametrize("guard", [{"tokens": [TOKEN]}, {"certificate": ("a", "b"), "client_ca": "ca.pem"}])
def test_tokens_or_certificates_open_other_addresses(guard: dict[str, Any]) -> None:
    assert RpcSettings.model_validate({"host": "0.0.0.0", **guard}).host == "0.0.0.0"
