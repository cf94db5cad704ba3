import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.certificates import Authority
from tests.support.rpc import RelayService
from wigwag.api.relay.v1 import relay_pb2
from wigwag.api.relay.v1.relay_pb2_grpc import RelayServiceStub
from wigwag.errors import ConfigurationError
from wigwag.runtime.rpc import ClientTls, open_channel
from wigwag.runtime.rpc.methods import changes_nothing

READ, OPERATE = "r" * 16, "o" * 16
TOKENS = ((READ, "read"), (OPERATE, "operate"))
ID = "0" * 16


@asynccontextmanager
async def stub(service: RelayService, token: str | None, **options: Any) -> AsyncIterator[RelayServiceStub]:
    async with service.served(tokens=TOKENS, **options) as server, open_channel(server.target, token=token) as channel:
        yield RelayServiceStub(channel)


async def outcome(call: Any) -> grpc.StatusCode:
    try:
        await asyncio.wait_for(call, 10)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("token", "show", "end"),
    [
        (None, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAUTHENTICATED),
        ("x" * 16, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAUTHENTICATED),
        (READ, grpc.StatusCode.OK, grpc.StatusCode.PERMISSION_DENIED),
        (OPERATE, grpc.StatusCode.OK, grpc.StatusCode.OK),
    ],
)
async def test_a_token_allows_what_its_role_says(
    token: str | None, show: grpc.StatusCode, end: grpc.StatusCode
) -> None:
    service = RelayService()
    async with stub(service, token) as relay:
        assert await outcome(relay.GetSession(relay_pb2.GetSessionRequest(session_id=ID))) is show
        assert await outcome(relay.EndSession(relay_pb2.EndSessionRequest(session_id=ID))) is end
    assert (ID in service.relay.sessions) is (end is not grpc.StatusCode.OK)


async def test_a_stream_needs_a_token_too() -> None:
    async with stub(RelayService(), None) as relay:
        watch = relay.WatchSessions(relay_pb2.WatchSessionsRequest())
        assert await outcome(watch.read()) is grpc.StatusCode.UNAUTHENTICATED


async def test_health_can_be_checked_without_a_token_but_not_watched() -> None:
    async with RelayService().served(tokens=TOKENS) as server, open_channel(server.target) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        assert await outcome(health.Check(health_pb2.HealthCheckRequest())) is grpc.StatusCode.OK
        watch = health.Watch(health_pb2.HealthCheckRequest())
        assert await outcome(watch.read()) is grpc.StatusCode.UNAUTHENTICATED


async def test_without_tokens_nobody_is_asked() -> None:
    async with RelayService().served() as server, open_channel(server.target, token="any") as channel:
        call = RelayServiceStub(channel).EndSession(relay_pb2.EndSessionRequest(session_id=ID))
        assert await outcome(call) is grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("method", "looks"),
    [
        ("/wigwag.api.relay.v1.RelayService/WatchSessions", True),
        ("/wigwag.api.relay.v1.RelayService/EndSession", False),
        ("/wigwag.api.relay.v1.RelayService/CancelDrain", False),
        ("/wigwag.api.relay.v1.RelayService/Nothing", False),
        ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", True),
        ("", False),
    ],
)
def test_a_method_only_looks_if_its_contract_says_so(method: str, looks: bool) -> None:
    assert changes_nothing(method) is looks


class Files:
    """A server's certificate, and clients of its authority and of a stranger."""

    def __init__(self, directory: Path) -> None:
        self.authority = Authority.create(directory)
        stranger = Authority.create(directory, "stranger")
        self.server = self.authority.issue("localhost", addresses=("127.0.0.1",))
        self.client = self.authority.issue(common_name="client")
        self.foreign = stranger.issue(common_name="client")
        self.stranger_ca = stranger.ca_file

    @property
    def mutual(self) -> dict[str, Any]:
        return {"certificate": self.server, "client_ca": self.authority.ca_file}

    def break_server(self) -> None:
        Path(self.server[0]).write_text("broken")

    def replace_server(self, chain: str, key: str) -> None:
        Path(self.server[1]).write_bytes(Path(key).read_bytes())
        Path(self.server[0]).write_bytes(Path(chain).read_bytes())

    def client_tls(self, certificate: tuple[str, str] | None) -> ClientTls:
        return ClientTls(ca_file=self.authority.ca_file, certificate=certificate)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


async def ended(target: str, tls: ClientTls | None, token: str | None = None) -> grpc.StatusCode:
    async with open_channel(target, tls=tls, token=token) as channel:
        return await outcome(RelayServiceStub(channel).EndSession(relay_pb2.EndSessionRequest(session_id=ID)))


async def test_a_certificate_of_the_authority_may_operate(files: Files) -> None:
    async with RelayService().served(**files.mutual) as server:
        assert await ended(server.target, files.client_tls(files.client)) is grpc.StatusCode.OK


@pytest.mark.parametrize("whose", ["nobody's", "a stranger's"])
async def test_any_other_certificate_is_refused(files: Files, whose: str) -> None:
    tls = files.client_tls(files.foreign if whose == "a stranger's" else None)
    service = RelayService()
    async with service.served(**files.mutual) as server:
        assert await ended(server.target, tls) is grpc.StatusCode.UNAVAILABLE
    assert ID in service.relay.sessions


async def test_plain_text_gets_nowhere_on_a_tls_port(files: Files) -> None:
    async with RelayService().served(certificate=files.server) as server:
        assert await ended(server.target, None) is grpc.StatusCode.UNAVAILABLE


async def test_a_server_of_another_authority_is_not_trusted(files: Files) -> None:
    async with RelayService().served(certificate=files.server) as server:
        assert await ended(server.target, ClientTls(ca_file=files.stranger_ca)) is grpc.StatusCode.UNAVAILABLE


async def test_a_token_beside_a_certificate_can_only_take_away(files: Files) -> None:
    tls = files.client_tls(files.client)
    async with RelayService().served(**files.mutual, tokens=TOKENS) as server:
        assert await ended(server.target, tls, READ) is grpc.StatusCode.PERMISSION_DENIED
        assert await ended(server.target, tls, "x" * 16) is grpc.StatusCode.UNAUTHENTICATED
        assert await ended(server.target, tls) is grpc.StatusCode.OK


async def test_a_certificate_that_is_replaced_is_used_from_the_next_connection_on(files: Files) -> None:
    other = Authority.create(files.authority.directory, "other")
    async with RelayService().served(certificate=files.server) as server:
        assert await ended(server.target, files.client_tls(None)) is grpc.StatusCode.OK
        chain, key = other.issue("localhost", addresses=("127.0.0.1",))
        files.replace_server(chain, key)
        assert await ended(server.target, ClientTls(ca_file=other.ca_file)) is grpc.StatusCode.NOT_FOUND


async def test_a_certificate_that_breaks_leaves_the_old_one_in_use(files: Files) -> None:
    async with RelayService().served(certificate=files.server) as server:
        files.break_server()
        assert await ended(server.target, files.client_tls(None)) is grpc.StatusCode.OK


async def test_a_certificate_that_cannot_be_used_is_named_at_the_start(files: Files) -> None:
    files.break_server()
    with pytest.raises(ConfigurationError, match=r"rpc.certificate: .*\.crt"):
        async with RelayService().served(certificate=files.server):
            pass


def test_a_clients_file_that_does_not_exist_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"none\.pem"):
        open_channel("127.0.0.1:1", tls=ClientTls(ca_file="none.pem"))
