"""Files that break off in the middle are gone on with, either way, and handed out to who asks for them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from tests.scenarios.ua.conftest import Agents
from tests.support.ledger import eventually
from tests.support.ua_cluster import APPLICATION, UaCluster
from tests.support.ua_files import MIB, PATIENCE, TYPE, Came, FileUser, file_user, hashes, octets, sha256
from tests.support.ua_load import plan_of
from wigwag.api.ua.v1 import message_pb2, ua_pb2, ua_pb2_grpc
from wigwag.protocols.sdp import FileSelector
from wigwag.ua.endpoint.model import Ended, Settled, Settlement

SIZE = 24 * MIB
BREAK = 14 * MIB + 12_345
LARGE = 96 * MIB


class Desk:
    """The application."""

    def __init__(self, stub: Any, address: str) -> None:
        self.stub = stub
        self.address = address
        self._over: set[str] = set()
        """Sessions that have ended: a list that was read before may show them still."""

    async def send(self, end: int = SIZE, **fields: Any) -> message_pb2.File:
        """Send the file up to an octet, or what of it is not there."""

        async def parts() -> AsyncIterator[ua_pb2.SendFileRequest]:
            described = {"application": APPLICATION, "name": "out.bin", "content_type": TYPE, **fields}
            yield ua_pb2.SendFileRequest(file=ua_pb2.FileDescription(**described))
            if not {"resume_session_id", "blob_id"} & fields.keys():
                for first in range(fields.get("offset", 0), end, MIB // 2):
                    yield ua_pb2.SendFileRequest(data=octets(first, min(first + MIB // 2, end)))

        response = await self.stub.SendFile(parts(), timeout=PATIENCE)
        file: message_pb2.File = response.file
        return file

    async def file(self, session_id: str) -> message_pb2.File:
        """Return how a file stands."""
        response = await self.stub.GetFile(ua_pb2.GetFileRequest(session_id=session_id))
        file: message_pb2.File = response.file
        return file

    async def ended(self, session_id: str) -> message_pb2.File:
        """Wait until a transfer is over; returns how it ended."""
        final = (message_pb2.FILE_STATE_COMPLETED, message_pb2.FILE_STATE_FAILED, message_pb2.FILE_STATE_DECLINED)
        session = ua_pb2.GetSessionRequest(session_id=session_id)
        file = message_pb2.File()

        async def is_over() -> bool:
            file.CopyFrom(await self.file(session_id))
            ended = (await self.stub.GetSession(session)).session.ended_at.seconds
            return bool(ended) and file.state in final

        await eventually(is_over, PATIENCE)
        self._over.add(session_id)
        return file

    async def goes_on(self, session_id: str, gone: str) -> None:
        """Wait until a session of a pod that is gone has another owner, or is over."""
        wanted = ua_pb2.GetSessionRequest(session_id=session_id)

        async def has_gone_on() -> bool:
            session = (await self.stub.GetSession(wanted)).session
            return bool(session.ended_at.seconds) or (session.pod not in ("", gone))

        await eventually(has_gone_on, PATIENCE)

    async def sessions(self) -> list[str]:
        """Return the ids of the sessions that have not ended."""
        listed = await self.stub.ListSessions(ua_pb2.ListSessionsRequest(application=APPLICATION))
        return [str(session.session_id) for session in listed.sessions if session.session_id not in self._over]

    async def calls(self) -> str:
        """Wait until the user's call is here; returns its session."""
        found: list[str] = []

        async def is_here() -> bool:
            found[:] = await self.sessions()
            return bool(found)

        await eventually(is_here, PATIENCE)
        (session_id,) = found
        return session_id

    async def fetch(self, **fields: Any) -> message_pb2.File:
        """Ask the user for a file."""
        request = ua_pb2.FetchFileRequest(application=APPLICATION, **fields)
        file: message_pb2.File = (await self.stub.FetchFile(request)).file
        return file


@asynccontextmanager
async def both(cluster: UaCluster, directory: Path) -> AsyncIterator[tuple[Desk, FileUser]]:
    plan = plan_of(cluster, "user", directory)
    async with file_user(plan) as user, grpc.aio.insecure_channel(cluster.pods[0].target) as channel:
        yield Desk(ua_pb2_grpc.UaServiceStub(channel), user.address), user


def run(agents: Agents, directory: Path, work: Callable[[Desk, FileUser], Awaitable[None]]) -> None:
    async def all_of_it() -> None:
        async with both(agents.cluster, directory) as (desk, user):
            await work(desk, user)

    asyncio.run(all_of_it())
    assert not agents.cluster.errors()


def test_file_to_a_user_who_hung_up_goes_on_with_what_he_has_not_reported(agents: Agents, tmp_path: Path) -> None:
    async def work(desk: Desk, user: FileUser) -> None:
        user.hang_up_at = BREAK
        file = await desk.send(to_uri=desk.address, size=SIZE)
        assert not (await user.came()).complete
        broken = await desk.ended(file.session_id)
        assert broken.state == message_pb2.FILE_STATE_FAILED
        again = await desk.send(resume_session_id=file.session_id)
        came = await user.came()
        assert came == Came(first=broken.transferred, octets=SIZE - broken.transferred, is_right=True, complete=True)
        done = await desk.ended(again.session_id)
        assert (done.state, done.transferred) == (message_pb2.FILE_STATE_COMPLETED, SIZE)
        with pytest.raises(grpc.aio.AioRpcError, match="has the file"):
            await desk.send(resume_session_id=again.session_id)

    run(agents, tmp_path, work)


def test_user_who_hung_up_offers_the_rest_of_his_file_and_the_whole_is_right(agents: Agents, tmp_path: Path) -> None:
    async def work(desk: Desk, user: FileUser) -> None:
        sending = asyncio.create_task(user.send(SIZE, break_at=BREAK))
        session_id = await desk.calls()
        await sending
        broken = await desk.ended(session_id)
        assert broken.state == message_pb2.FILE_STATE_FAILED
        assert 0 < broken.transferred <= SIZE
        # More than is here, and another file.
        for start, size in ((broken.transferred + 2, SIZE), (broken.transferred + 1, SIZE + 1)):
            refused = await user.send(size, start=start)
            assert isinstance(refused, Ended), (broken, start)
            assert refused.status == 488
        sending = asyncio.create_task(user.send(SIZE, start=broken.transferred + 1))
        session_id = await desk.calls()
        settled = await sending
        assert isinstance(settled, Settled)
        assert settled.settlement is Settlement.DELIVERED
        done = await desk.ended(session_id)
        assert (done.state, done.size) == (message_pb2.FILE_STATE_COMPLETED, SIZE)
        assert done.blob_id

    run(agents, tmp_path, work)


def test_rest_of_a_users_file_is_asked_for(agents: Agents, tmp_path: Path) -> None:
    async def work(desk: Desk, user: FileUser) -> None:
        sending = asyncio.create_task(user.send(SIZE, break_at=BREAK))
        session_id = await desk.calls()
        await sending
        broken = await desk.ended(session_id)
        user.size = SIZE
        file = await desk.fetch(resume_session_id=session_id)
        done = await desk.ended(file.session_id)
        assert (done.state, done.size) == (message_pb2.FILE_STATE_COMPLETED, SIZE)
        asked = user.calls[-1].file
        assert asked is not None
        assert asked.range is not None
        assert asked.range.start == broken.transferred + 1
        body = desk.stub.GetMessageBody(ua_pb2.GetMessageBodyRequest(blob_id=done.blob_id))
        position = 0
        async for part in body:
            assert part.data == octets(position, position + len(part.data))
            position += len(part.data)
        assert position == SIZE

    run(agents, tmp_path, work)


def test_user_who_asks_for_a_file_gets_it_or_the_part_that_he_wants(agents: Agents, tmp_path: Path) -> None:
    async def work(desk: Desk, user: FileUser) -> None:
        selector = FileSelector(hashes=hashes(SIZE))
        for start in (1, BREAK + 1):
            pulling = asyncio.create_task(user.pull(selector, start))
            session_id = await desk.calls()
            asked = await desk.file(session_id)
            assert asked.state == message_pb2.FILE_STATE_REQUESTED
            assert asked.sha1 == hashes(SIZE)[0][1].hex()
            sent = await desk.send(session_id=session_id, size=SIZE, sha256=sha256(SIZE))
            assert sent.session_id == session_id
            assert not isinstance(await pulling, Ended)
            assert await user.came() == Came(first=start - 1, octets=SIZE - start + 1, is_right=True, complete=True)
            assert (await desk.ended(session_id)).state == message_pb2.FILE_STATE_COMPLETED
        pulling = asyncio.create_task(user.pull(selector))
        session_id = await desk.calls()
        await desk.stub.RejectSession(ua_pb2.RejectSessionRequest(session_id=session_id, sip_status=404))
        refused = await pulling
        assert isinstance(refused, Ended)
        assert refused.status == 404
        assert (await desk.ended(session_id)).state == message_pb2.FILE_STATE_DECLINED

    run(agents, tmp_path, work)


def test_upload_that_broke_is_gone_on_with_under_its_key(agents: Agents, tmp_path: Path) -> None:
    async def work(desk: Desk, user: FileUser) -> None:
        with pytest.raises(grpc.aio.AioRpcError, match="octets of the file are here"):
            await desk.send(BREAK, to_uri=desk.address, size=SIZE, idempotency_key="plan")
        wanted = ua_pb2.GetFileRequest(idempotency_key="plan", application=APPLICATION)
        here = (await desk.stub.GetFile(wanted)).file
        assert (here.state, here.transferred) == (message_pb2.FILE_STATE_UPLOADING, BREAK)
        file = await desk.send(
            SIZE, to_uri=desk.address, size=SIZE, idempotency_key="plan", offset=BREAK - 7, sha256=sha256(SIZE)
        )
        assert (await user.came()).is_right
        assert (await desk.ended(file.session_id)).state == message_pb2.FILE_STATE_COMPLETED
        assert (await desk.stub.GetFile(wanted)).file.session_id == file.session_id

    run(agents, tmp_path, work)


@pytest.mark.parametrize("way", ["terminate", "kill"])
def test_file_that_comes_is_whole_or_truthful_and_gone_on_with_when_its_pod_ends(
    agents: Agents, tmp_path: Path, way: str
) -> None:
    pods = {pod.name: pod for pod in agents.cluster.pods}

    async def work(desk: Desk, user: FileUser) -> None:
        user.size = LARGE
        sending = asyncio.create_task(user.send(LARGE, break_at=BREAK, on_break=ending.set, hangs_up=False))
        session_id = await desk.calls()
        session = (await desk.stub.GetSession(ua_pb2.GetSessionRequest(session_id=session_id))).session
        owner = pods[session.pod.partition(".")[0]]
        await asyncio.wait_for(ending.wait(), PATIENCE)
        await asyncio.to_thread(getattr(owner, way))
        other = next(pod for pod in agents.cluster.pods if pod is not owner)
        async with grpc.aio.insecure_channel(other.target) as channel:
            after = Desk(ua_pb2_grpc.UaServiceStub(channel), user.address)
            settled = await sending
            await after.goes_on(session_id, session.pod)
            settled.session.end()
            await _whole_or_gone_on_with(after, session_id)
        if way == "terminate":
            await asyncio.to_thread(owner.end)
        await asyncio.to_thread(owner.start)
        await asyncio.to_thread(owner.wait_until_ready)

    ending = asyncio.Event()
    run(agents, tmp_path, work)


async def _whole_or_gone_on_with(desk: Desk, session_id: str) -> None:
    done = await desk.ended(session_id)
    if done.state != message_pb2.FILE_STATE_COMPLETED:
        assert 0 < done.transferred < LARGE
        rest = await desk.fetch(resume_session_id=session_id)
        done = await desk.ended(rest.session_id)
    assert (done.state, done.size) == (message_pb2.FILE_STATE_COMPLETED, LARGE)
