"""The interfaces of applications over a fake agent, on loopback."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.fake_agent import FakeAgent
from wigwag.api.ua.v1 import ua_pb2_grpc
from wigwag.runtime.http_server import HttpServer, HttpServerOptions
from wigwag.runtime.rpc import RpcServer, RpcServerOptions, open_channel
from wigwag.ua.api.authentication import Authenticator, StoredKey
from wigwag.ua.api.rpc import UaServicer
from wigwag.ua.api.web import web_application
from wigwag.ua.api.websocket import LARGEST
from wigwag.ua.config import ApiKeySettings, UaApiSettings, UaLimits, UaSettings

ALL = ("sessions:read", "sessions:write", "messages:read", "messages:write")
HELPDESK = "helpdesk-key-0123456789"
SALES = "sales-key-0123456789abc"
READER = "reader-key-0123456789ab"
OPERATE, READ = "o" * 20, "r" * 20

KEYS = (
    ApiKeySettings(application="helpdesk", key=HELPDESK),
    ApiKeySettings(application="sales", key=SALES),
    ApiKeySettings(application="helpdesk", key=READER, scopes=("sessions:read", "messages:read")),
)


@dataclass(frozen=True)
class Key:
    """A key of the database."""

    application: str
    scopes: tuple[str, ...] = ALL


class KeyTable:
    """Keys of the database; counts how often it was asked."""

    def __init__(self, keys: Mapping[str, Key] | None = None) -> None:
        self.keys = dict(keys or {})
        self.asked = 0

    async def find(self, key: str) -> StoredKey | None:
        """Look for one."""
        self.asked += 1
        return self.keys.get(key)


def authenticator(*keys: ApiKeySettings, table: KeyTable | None = None, **options: Any) -> Authenticator:
    """Return one that knows these keys."""
    return Authenticator(UaApiSettings(keys=keys), (table or KeyTable()).find, **options)


@asynccontextmanager
async def web_client(
    agent: FakeAgent,
    *keys: ApiKeySettings,
    token: str | None = None,
    limits: UaLimits | None = None,
    patience: float = 10.0,
    **api: Any,
) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the REST interface and connect to it."""
    settings = UaSettings(api=UaApiSettings(keys=keys, **api), limits=limits or UaLimits())
    application = web_application(settings, agent, authenticator(*keys), version="1", patience=patience)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    options = HttpServerOptions(setting="ua.api", host="127.0.0.1", port=0, connections=1_000, websocket_octets=LARGEST)
    async with (
        HttpServer(options, application) as server,
        httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60.0) as client,
    ):
        yield client


@asynccontextmanager
async def rpc_stub(
    agent: FakeAgent,
    known: Authenticator | None = None,
    *,
    token: str | None = None,
    patience: float = 10.0,
    **options: Any,
) -> AsyncIterator[Any]:
    """Serve the gRPC service and connect to it."""
    servicer = UaServicer(agent, known or authenticator(), patience=patience)
    async with (
        RpcServer(RpcServerOptions(**options), [servicer.served(lambda: True)]) as server,
        open_channel(server.target, token=token) as channel,
    ):
        yield ua_pb2_grpc.UaServiceStub(channel)
