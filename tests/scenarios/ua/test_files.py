"""A file of 100 MiB goes out and comes in through a ua pod whose memory hardly grows."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from tests.scenarios.ua.conftest import Agents, agents_in
from tests.support.s3_server import running_s3
from tests.support.ua_cluster import APPLICATION, HELPDESK, UaCluster, UaPod
from tests.support.ua_load import plan_of
from tests.support.ua_plan import UaPlan
from tests.support.ua_users import endpoint_of
from wigwag.api.ua.v1 import message_pb2, ua_pb2, ua_pb2_grpc
from wigwag.protocols.sdp import Direction, FileSelector, FileTransfer
from wigwag.ua.endpoint.media import RelayWay
from wigwag.ua.endpoint.model import (
    CallReceived,
    Ended,
    EndpointEvent,
    MediaWish,
    Opened,
    OutgoingCall,
    OutgoingMessage,
    Settled,
    Settlement,
    StreamEnded,
    StreamPiece,
)

MIB = 1 << 20
SIZE = 100 * MIB
MOST_GROWTH = 20 * MIB
PATIENCE = 90.0
PIECE = bytes(range(256)) * 4096


class Octets:
    """A body of so many octets."""

    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, octets: int, /) -> bytes:
        """Return the next octets."""
        piece = PIECE[: min(octets, self._left, len(PIECE))]
        self._left -= len(piece)
        return piece


def digest(size: int, piece: int) -> bytes:
    """Return the SHA-256 of what ``Octets`` gives in pieces of this size."""
    found, body = hashlib.sha256(), Octets(size)
    while data := body.read(piece):
        found.update(data)
    return found.digest()


class FileUser:
    """A SIP user who takes files and sends some."""

    def __init__(self, plan: UaPlan) -> None:
        self.endpoint = endpoint_of("user0", plan, self._told, lambda up: None)
        self._domain = plan.domain
        self.octets = 0
        self.hash = hashlib.sha256()
        self._events: asyncio.Queue[EndpointEvent] = asyncio.Queue()

    def _told(self, event: EndpointEvent) -> None:
        match event:
            case CallReceived():
                wish = MediaWish(accept_types=("*",), streams=True, file=event.file, direction=Direction.RECVONLY)
                event.session.accept(wish)
            case StreamPiece(data=data):
                self.octets += len(data)
                self.hash.update(data)
                return
            case StreamEnded():
                event.accept()
            case _:
                pass
        self._events.put_nowait(event)

    async def heard(self, kind: type[Any] | tuple[type[Any], ...]) -> Any:
        """Wait for an event."""
        async with asyncio.timeout(PATIENCE):
            while not isinstance(event := await self._events.get(), kind):
                pass
        return event

    async def send(self, size: int) -> Settlement:
        """Send a file to the application."""
        selector = FileSelector(name="in.bin", size=size, media_type="application/octet-stream")
        transfer = FileTransfer(selector=selector, transfer_id=secrets.token_hex(8))
        wish = MediaWish(accept_types=("*",), streams=True, file=transfer, direction=Direction.SENDONLY)
        call = OutgoingCall(
            session_id=secrets.token_hex(8), from_uri=f"sip:user0@{self._domain}", to_uri=HELPDESK, media=wish
        )
        session = self.endpoint.start(call)
        while (event := await self.heard((Opened, Ended))).session is not session:
            pass
        assert isinstance(event, Opened), event
        session.send(
            OutgoingMessage(
                message_id=secrets.token_hex(8),
                content_type="application/octet-stream",
                body=lambda: Octets(size),
                total=size,
            )
        )
        settled = await self.heard(Settled)
        session.end()
        return Settlement(settled.settlement)


def resident(pod: UaPod) -> int:
    """Return the octets of a pod's memory that are there."""
    text = Path(f"/proc/{pod.pid}/status").read_text()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("VmRSS"))) * 1024


async def growth(pod: UaPod, work: Callable[[], Any]) -> int:
    """Return by how much a pod's memory was larger at most while something was done."""
    before = most = resident(pod)
    task = asyncio.ensure_future(work())
    while not (await asyncio.wait([task], timeout=0.05))[0]:
        most = max(most, resident(pod))
    await task
    return most - before


async def sent(target: str, size: int, user: str, domain: str) -> message_pb2.File:
    """Send a file as an application does."""

    async def parts() -> AsyncIterator[ua_pb2.SendFileRequest]:
        yield ua_pb2.SendFileRequest(
            file=ua_pb2.FileDescription(
                application=APPLICATION, to_uri=f"sip:{user}@{domain}", name="out.bin", size=size,
                content_type="application/octet-stream",
            )
        )  # fmt: skip
        body = Octets(size)
        while piece := body.read(MIB // 2):
            yield ua_pb2.SendFileRequest(data=piece)

    async with grpc.aio.insecure_channel(target) as channel:
        response = await ua_pb2_grpc.UaServiceStub(channel).SendFile(parts(), timeout=PATIENCE)
    file: message_pb2.File = response.file
    return file


async def _out_and_in(cluster: UaCluster, plan: UaPlan) -> tuple[int, int]:
    pod = cluster.pods[0]
    user = FileUser(plan)
    await user.endpoint.sip.start()

    async def out(size: int) -> None:
        user.octets, user.hash = 0, hashlib.sha256()
        await sent(pod.target, size, "user0", plan.domain)
        ended: StreamEnded = await user.heard(StreamEnded)
        assert (ended.complete, user.octets) == (True, size)
        assert user.hash.digest() == digest(size, MIB // 2)

    async def come(size: int) -> None:
        assert await user.send(size) is Settlement.DELIVERED

    try:
        await out(2 * MIB)
        await come(2 * MIB)
        return await growth(pod, lambda: out(SIZE)), await growth(pod, lambda: come(SIZE))
    finally:
        await user.endpoint.close()
        await user.endpoint.sip.close()
        way = user.endpoint.media.way("relay")
        assert isinstance(way, RelayWay)
        await way.connector.close()


def measured(agents: Agents, directory: Path) -> None:
    """Send a file out and let one come in; fails if that takes much memory, or a pod complains."""
    # With one pod calls to the application come to the pod that is looked at.
    agents.cluster.pods[1].kill()
    plan = plan_of(agents.cluster, "user", directory)
    out, come = asyncio.run(_out_and_in(agents.cluster, plan))
    print(f"memory grew by {out / MIB:.1f} MiB out, {come / MIB:.1f} MiB in")
    assert max(out, come) < MOST_GROWTH, f"{out / MIB:.1f} MiB out, {come / MIB:.1f} MiB in"
    assert not agents.cluster.errors()


def test_file_of_100_mib_goes_out_and_comes_in_within_20_mib_of_memory(agents: Agents, tmp_path: Path) -> None:
    measured(agents, tmp_path)


@pytest.mark.peer("moto")
def test_file_of_100_mib_takes_as_little_memory_when_files_are_in_s3(tmp_path: Path) -> None:
    with running_s3() as s3:
        bucket = s3.new_bucket()
        with agents_in(tmp_path, s3.settings(bucket)) as agents:
            measured(agents, tmp_path)
        # Two files of 100 MiB, two of 2 MiB.
        assert len(s3.keys(bucket)) == 2 * (SIZE + 2 * MIB) // MIB
