"""The client for applications, against the real gRPC service over an agent in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from tests.support.fake_agent import FakeAgent
from tests.support.ua_api import HELPDESK, KEYS, authenticator
from tests.support.waiting import until
from wigwag.api.ua.v1 import event_pb2, message_pb2, session_pb2, ua_pb2
from wigwag.client import (
    Client,
    Composing,
    DeliveryState,
    Event,
    FileChanged,
    FileState,
    MessageChanged,
    MessageReceived,
    SessionChanged,
    SessionEnded,
    SessionOffered,
    SessionOpened,
)
from wigwag.errors import (
    ConflictError,
    InvalidRequestError,
    NotAuthenticatedError,
    NotFoundError,
    OutOfRangeError,
    OverloadedError,
)
from wigwag.runtime.rpc import RpcServer, RpcServerOptions
from wigwag.ua.api.rpc import UaServicer


class Log:
    """Events of one application; a resume token is how many there were before."""

    def __init__(self) -> None:
        self.events: list[event_pb2.Event] = []
        self.forgotten = 0
        self.opened: list[str] = []
        self._more = asyncio.Event()
        self._ids = count(1)

    def tell(self, session_id: str, **what: object) -> None:
        event = event_pb2.Event(event_id=f"e{next(self._ids)}", session_id=session_id, **what)  # type: ignore[arg-type]
        event.occurred_at.FromSeconds(1_700_000_000)
        self.events.append(event)
        self._more.set()

    async def watch(self, application: str, request: ua_pb2.WatchRequest) -> AsyncIterator[ua_pb2.WatchResponse]:
        self.opened.append(request.resume_token)
        at = int(request.resume_token or len(self.events))
        if at < self.forgotten:
            raise OutOfRangeError("kept no more")
        yield ua_pb2.WatchResponse(resume_token=str(at))
        while True:
            while at < len(self.events):
                at += 1
                yield ua_pb2.WatchResponse(events=[self.events[at - 1]], resume_token=str(at))
            self._more.clear()
            await self._more.wait()


@asynccontextmanager
async def served(agent: FakeAgent, port: int = 0) -> AsyncIterator[RpcServer]:
    servicer = UaServicer(agent, authenticator(*KEYS))
    async with RpcServer(RpcServerOptions(port=port, closing=0.1), [servicer.served(lambda: True)]) as server:
        yield server


@asynccontextmanager
async def connected(agent: FakeAgent) -> AsyncIterator[Client]:
    async with served(agent) as server, Client(server.target, key=HELPDESK) as client:
        yield client


async def taken(client: Client, number: int) -> list[Event]:
    """Return the next so many events."""
    found: list[Event] = []
    async with asyncio.timeout(20):
        async for event in client.events():
            found.append(event)
            if len(found) == number:
                break
    return found


async def test_a_session_is_started_and_a_message_is_sent() -> None:
    agent = FakeAgent(Log().watch)
    async with connected(agent) as client:
        session = await client.start("sip:bob@example.com", subject="hi", labels={"ticket": "7"})
        assert (session.state, session.remote_uri, session.labels) == (
            "starting",
            "sip:bob@example.com",
            {"ticket": "7"},
        )
        assert client.session(session.id) is session
        sent = await session.send("hällo", display=True, headers={"Subject": "x"})
        await session.composing()
        await session.displayed(sent.message_id)
        assert [found.id async for found in client.sessions()] == [session.id]
        await session.end()
    stored = agent.messages[sent.message_id]
    assert (stored.body.decode(), stored.content_type) == ("hällo", "text/plain;charset=utf-8")
    assert (stored.requested.display, stored.cpim_headers[0].name) == (True, "Subject")
    assert agent.composing == [(session.id, True)]
    assert (agent.displayed, session.state) == ([sent.message_id], "ended")


async def test_events_have_types() -> None:
    log = Log()
    agent = FakeAgent(log.watch)
    async with connected(agent) as client:
        known = agent.offer(subject="help")
        log.tell(known.session_id, session_changed=known)
        (offered,) = await taken(client, 1)
        assert isinstance(offered, SessionOffered)
        assert (offered.subject, offered.session.remote_uri) == ("help", "sip:bob@example.com")
        await offered.session.answer()
        log.tell(known.session_id, session_changed=known)
        log.tell(
            known.session_id,
            message_received=message_pb2.Message(message_id="m1", content_type="text/plain", body=b"hello"),
        )
        log.tell(
            known.session_id,
            message_changed=message_pb2.Message(message_id="m2", state=message_pb2.DELIVERY_STATE_FAILED, status=413),
        )
        log.tell(known.session_id, composing=event_pb2.Composing(active=True))
        log.tell(
            known.session_id,
            file_changed=message_pb2.File(name="a", state=message_pb2.FILE_STATE_COMPLETED, transferred=3),
        )
        known.state, known.end_cause = session_pb2.SESSION_STATE_ENDED, session_pb2.END_CAUSE_ENDED_BY_PEER
        log.tell(known.session_id, session_changed=known)
        found = await taken(client, 6)
    assert [type(event) for event in found] == [
        SessionChanged,  # That it is open the answer said before.
        MessageReceived,
        MessageChanged,
        Composing,
        FileChanged,
        SessionEnded,
    ]
    match found:
        case [_, MessageReceived(text=text, session=session), MessageChanged() as changed, _, file, ended]:
            assert (text, session) == ("hello", offered.session)
            assert (changed.state, changed.status) == (DeliveryState.FAILED, 413)
            assert isinstance(file, FileChanged)
            assert file.state is FileState.COMPLETED
            assert isinstance(ended, SessionEnded)
            assert ended.cause == "ended_by_peer"
        case _:
            raise AssertionError(found)


async def test_a_refused_message_says_why_and_others_go_on() -> None:
    agent = FakeAgent(Log().watch)
    async with connected(agent) as client:
        session = client.session(agent.open().session_id)
        with pytest.raises(InvalidRequestError, match="no media type"):
            await session.send(b"x", "nonsense")
        with pytest.raises(NotFoundError):
            await client.session("f" * 32).send("x")
        await session.send("fine")
        await session.end()
        with pytest.raises(ConflictError, match="over"):
            await session.send("late")
        with pytest.raises(NotFoundError):
            await client.message("f" * 32)


async def test_a_user_agent_that_is_not_there_is_said_in_time() -> None:
    with pytest.raises(OverloadedError, match=r"within 0\.2 s"):
        async with Client("127.0.0.1:9", key=HELPDESK, timeout=0.2):
            pass
    async with Client("127.0.0.1:9", key=HELPDESK, timeout=0.2, watch=False) as client:
        with pytest.raises(OverloadedError, match=r"within 0\.2 s"):
            await client.session("f" * 32).send("x")


async def test_a_wrong_key_is_refused_at_once() -> None:
    async with served(FakeAgent(Log().watch)) as server:
        with pytest.raises(NotAuthenticatedError):
            async with Client(server.target, key="wrong-key-0123456789"):
                pass
        async with Client(server.target, key="wrong-key-0123456789", watch=False) as client:
            with pytest.raises(NotAuthenticatedError):
                await client.session("f" * 32).send("x")


async def test_many_messages_keep_their_order_and_each_is_accepted_once_though_the_server_restarts() -> None:
    log = Log()
    agent = FakeAgent(log.watch)
    known = agent.open()
    async with served(agent) as first:
        port = int(first.target.rpartition(":")[2])
        client = await Client(first.target, key=HELPDESK).__aenter__()
        session = client.session(known.session_id)
        sending = [asyncio.create_task(session.send(str(number))) for number in range(3_000)]
        await until(lambda: len(agent.messages) > 100)
    async with served(agent, port):
        sent = await asyncio.wait_for(asyncio.gather(*sending), 30)
        log.tell(known.session_id, composing=event_pb2.Composing(active=True))
        (event,) = await taken(client, 1)
        await client.close()
    assert len({each.message_id for each in sent}) == len(agent.messages) == 3_000
    assert [int(message.body) for message in agent.messages.values()] == list(range(3_000))
    assert isinstance(event, Composing)
    assert log.opened[-1] == "0"


async def test_events_go_on_where_an_earlier_client_stopped() -> None:
    log = Log()
    agent = FakeAgent(log.watch)
    async with served(agent) as server:
        async with Client(server.target, key=HELPDESK) as client:
            for number in range(4):
                log.tell("s" * 32, composing=event_pb2.Composing(content_type=str(number)))
            await taken(client, 2)
            token = client.resume_token
        async with Client(server.target, key=HELPDESK, resume_token=token) as client:
            found = await taken(client, 2)
        assert [event.content_type for event in found if isinstance(event, Composing)] == ["2", "3"]
        log.forgotten = 10
        with pytest.raises(OutOfRangeError):
            async with Client(server.target, key=HELPDESK, resume_token=token):
                pass


async def test_an_event_that_comes_again_is_told_once_and_unknown_ones_are_left_out() -> None:
    log = Log()
    agent = FakeAgent(log.watch)
    async with connected(agent) as client:
        log.tell("s" * 32, composing=event_pb2.Composing(active=True))
        log.events.append(log.events[0])
        log.tell("s" * 32)
        log.tell("s" * 32, composing=event_pb2.Composing(active=False))
        found = await taken(client, 2)
    assert [event.event_id for event in found] == ["e1", "e3"]


async def test_files_go_out_whole_and_bodies_come_in(tmp_path: Path) -> None:
    agent, content = FakeAgent(Log().watch), bytes(range(256)) * 10_000
    path = tmp_path / "report.bin"
    path.write_bytes(content)
    async with connected(agent) as client:
        sent = await client.send_file("sip:bob@example.com", path)
        assert (sent.name, sent.size) == ("report.bin", len(content))
        assert b"".join([piece async for piece in client.body(sent.blob_id, 1_000)]) == content[1_000:]
        assert (await client.send_file("sip:bob@example.com", b"abc", name="a")).size == 3


async def test_an_open_session_is_told_as_opened() -> None:
    log = Log()
    agent = FakeAgent(log.watch)
    async with connected(agent) as client:
        session = await client.start("sip:bob@example.com")
        known = agent.sessions[session.id]
        known.state = session_pb2.SESSION_STATE_OPEN
        log.tell(session.id, session_changed=known)
        known.held = True
        log.tell(session.id, session_changed=known)
        opened, held = await taken(client, 2)
    assert isinstance(opened, SessionOpened)
    assert isinstance(held, SessionChanged)
    assert opened.session is session
    assert session.held
