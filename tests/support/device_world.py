"""What the devices of one process share: the recording, the connector, the names of requests."""

import asyncio
import hashlib
import itertools
import secrets
import sys
import time
from typing import Any

import msgspec

from tests.support.device_plan import DevicesPlan
from wigwag.protocols.sip import Request
from wigwag.protocols.sip.user_agent import Transport
from wigwag.runtime.recording import Recorder
from wigwag.transport.addresses import Endpoint
from wigwag.transport.connector import Connector
from wigwag.transport.resolver import Resolver
from wigwag.transport.sip_flows import FlowUser, OpenFlow, open_flow
from wigwag.transport.sip_servers import SipLocation
from wigwag.transport.tls import sip_client_context


class Content(msgspec.Struct, frozen=True):
    """Body of a request: who it is, whatever becomes of its head on the way."""

    id: str
    sequence: int
    padding: str = "." * 40


class DeviceWorld:
    """See the module's text.

    Args:
        plan: What the process does.
    """

    def __init__(self, plan: DevicesPlan) -> None:
        self.plan = plan
        self.now = asyncio.get_running_loop().time
        context = sip_client_context(ca_file=plan.server.ca_file)
        self.connector = Connector(Resolver(choose=lambda most: secrets.randbelow(most + 1)), tls=lambda: context)
        self._recorder = Recorder(plan.recording)
        self._flows = itertools.count(1)

    def record(self, kind: type[msgspec.Struct], **fields: Any) -> None:
        """Write a record, with its number and the time."""
        self._recorder.write(kind(number=self._recorder.next_number(), time=time.time(), **fields))

    def note(self, text: str) -> None:
        """Write a line for people who look for the reason of a failure."""
        print(f"{time.time():.3f} {text}", file=sys.stderr, flush=True)

    def flow_name(self, device: str) -> str:
        """Return a name for a new flow."""
        return f"{device}/{next(self._flows)}"

    async def open(self, transport: Transport, user: FlowUser) -> OpenFlow:
        """Open a way to the edge.

        Raises:
            TransportError: There is none.
        """
        server = self.plan.server
        endpoint = Endpoint(server.host, server.ports[transport])
        location = SipLocation(transport=transport, endpoint=endpoint, server_name=server.name)
        return await open_flow(location, user, self.connector, secrets.token_bytes)

    async def close(self) -> None:
        """Close the recording, and what is still open."""
        await self.connector.close()
        self._recorder.close()


def content_of(request: Request) -> Content:
    """Read a request's body.

    Raises:
        AssertionError: It is none of ours: the edge has changed it, or made it up.
    """
    try:
        return msgspec.json.decode(request.body, type=Content)
    except msgspec.DecodeError as error:
        raise AssertionError(f"the edge delivered {bytes(request)!r}") from error


def digest_of(body: bytes) -> str:
    """Return the SHA-256 of a body, hexadecimal."""
    return hashlib.sha256(body).hexdigest()
