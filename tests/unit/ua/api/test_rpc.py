import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from tests.support.fake_agent import FakeAgent
from tests.support.ua_api import HELPDESK, KEYS, OPERATE, READ, READER, SALES, Key, KeyTable, authenticator, rpc_stub
from tests.support.waiting import until
from wigwag.api.ua.v1 import session_pb2, ua_pb2
from wigwag.errors import (
    BusError,
    ConflictError,
    DatabaseError,
    InvalidRequestError,
    NotAuthorizedError,
    NotFoundError,
    OutOfRangeError,
    OverloadedError,
    StoreError,
)
from wigwag.ua.api.sending import WINDOW

START = ua_pb2.StartSessionRequest(to_uri="sip:bob@example.com")
TOKENS = ((OPERATE, "operate"), (READ, "read"))


async def refused(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(call, 10)
    return caught.value.code(), caught.value.details() or ""


def message(session: session_pb2.Session, body: bytes, key: str = "") -> ua_pb2.OutboundMessage:
    return ua_pb2.OutboundMessage(
        session_id=session.session_id, content_type="text/plain", body=body, idempotency_key=key
    )


def numbered(sequence: int, session: session_pb2.Session) -> ua_pb2.SendMessagesRequest:
    return ua_pb2.SendMessagesRequest(sequence=sequence, message=message(session, b"%d" % sequence))


# Who calls


async def test_an_application_key_is_enough_for_this_service_though_the_server_has_tokens_of_its_own() -> None:
    agent = FakeAgent()
    async with rpc_stub(agent, authenticator(*KEYS), token=HELPDESK, tokens=TOKENS) as ua:
        started = await ua.StartSession(START)
    assert started.session.application == "helpdesk"
    assert agent.callers[0].application == "helpdesk"


async def test_a_key_of_the_database_works_as_one_of_the_settings() -> None:
    agent, table = FakeAgent(), KeyTable({"wua_" + "k" * 30: Key("sales")})
    async with rpc_stub(agent, authenticator(*KEYS, table=table), token="wua_" + "k" * 30) as ua:
        assert (await ua.StartSession(START)).session.application == "sales"


async def test_the_servers_own_tokens_are_operators() -> None:
    agent = FakeAgent()
    async with rpc_stub(agent, authenticator(*KEYS), token=OPERATE, tokens=TOKENS) as ua:
        started = await ua.StartSession(ua_pb2.StartSessionRequest(application="sales", to_uri="sip:bob@example.com"))
    assert (started.session.application, agent.callers[0].application) == ("sales", "")


async def test_a_token_whose_role_is_read_looks_and_changes_nothing() -> None:
    agent = FakeAgent()
    session = agent.open()
    async with rpc_stub(agent, authenticator(*KEYS), token=READ, tokens=TOKENS) as ua:
        found = await ua.GetSession(ua_pb2.GetSessionRequest(session_id=session.session_id))
        code, _ = await refused(ua.EndSession(ua_pb2.EndSessionRequest(session_id=session.session_id)))
    assert found.session.session_id == session.session_id
    assert code is grpc.StatusCode.PERMISSION_DENIED
    assert session.state == session_pb2.SESSION_STATE_OPEN


@pytest.mark.parametrize("token", [None, "", "wrong-key-0123456789", HELPDESK + "x"])
@pytest.mark.parametrize("tokens", [(), TOKENS])
async def test_who_shows_nothing_that_is_known_is_refused(token: str | None, tokens: Any) -> None:
    agent = FakeAgent()
    async with rpc_stub(agent, authenticator(*KEYS), token=token, tokens=tokens) as ua:
        code, _ = await refused(ua.StartSession(START))
        watch_code, _ = await refused(ua.Watch(ua_pb2.WatchRequest()).read())
    assert (code, watch_code) == (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAUTHENTICATED)
    assert not agent.callers


async def test_tokens_of_the_server_without_keys_let_nobody_in_without_one() -> None:
    async with rpc_stub(FakeAgent(), tokens=TOKENS) as ua:
        code, _ = await refused(ua.ListSessions(ua_pb2.ListSessionsRequest()))
    assert code is grpc.StatusCode.UNAUTHENTICATED


async def test_without_keys_and_tokens_everybody_on_loopback_is_an_operator() -> None:
    agent = FakeAgent()
    async with rpc_stub(agent) as ua:
        await ua.ListSessions(ua_pb2.ListSessionsRequest())
    assert agent.callers[0].application == ""


async def test_scopes_are_the_keys() -> None:
    agent = FakeAgent()
    session = agent.open()
    async with rpc_stub(agent, authenticator(*KEYS), token=READER) as ua:
        await ua.GetSession(ua_pb2.GetSessionRequest(session_id=session.session_id))
        code, details = await refused(ua.SendMessage(ua_pb2.SendMessageRequest(message=message(session, b"hi"))))
    assert code is grpc.StatusCode.PERMISSION_DENIED
    assert "messages:write" in details


async def test_sessions_of_another_application_are_not_found() -> None:
    agent = FakeAgent()
    session = agent.open("helpdesk")
    async with rpc_stub(agent, authenticator(*KEYS), token=SALES) as ua:
        code, _ = await refused(ua.GetSession(ua_pb2.GetSessionRequest(session_id=session.session_id)))
    assert code is grpc.StatusCode.NOT_FOUND


# Errors


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (InvalidRequestError("to_uri: no"), grpc.StatusCode.INVALID_ARGUMENT),
        (NotAuthorizedError("no"), grpc.StatusCode.PERMISSION_DENIED),
        (NotFoundError("no"), grpc.StatusCode.NOT_FOUND),
        (ConflictError("no"), grpc.StatusCode.FAILED_PRECONDITION),
        (OverloadedError("no"), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (OutOfRangeError("no"), grpc.StatusCode.OUT_OF_RANGE),
        (StoreError("no"), grpc.StatusCode.UNAVAILABLE),
        (DatabaseError("no"), grpc.StatusCode.UNAVAILABLE),
        (BusError("no"), grpc.StatusCode.UNAVAILABLE),
        (RuntimeError("secret"), grpc.StatusCode.INTERNAL),
    ],
)
async def test_each_error_has_its_status_in_every_kind_of_call(failure: Exception, code: grpc.StatusCode) -> None:
    agent = FakeAgent()
    session = agent.open()
    agent.failure = failure
    file = ua_pb2.SendFileRequest(file=ua_pb2.FileDescription(to_uri="sip:bob@example.com"))
    async with rpc_stub(agent) as ua:
        sending = ua.SendMessages(iter([numbered(7, session)]))
        calls = [
            ua.StartSession(START),
            ua.SendMessage(ua_pb2.SendMessageRequest(message=message(session, b"hi"))),
            ua.SendFile(iter([file])),
            ua.Watch(ua_pb2.WatchRequest()).read(),
            ua.GetMessageBody(ua_pb2.GetMessageBodyRequest(blob_id="b")).read(),
        ]
        for call in calls:
            found, details = await refused(call)
            assert found is code
            assert "secret" not in details
        (acknowledgement,) = (await sending.read()).acknowledgements
    assert (acknowledgement.sequence, acknowledgement.code) == (7, code.value[0])
    assert "secret" not in acknowledgement.error


async def test_texts_with_line_breaks_reach_nobody() -> None:
    agent = FakeAgent()
    session = agent.open()
    hostile = ua_pb2.OutboundMessage(session_id=session.session_id, content_type="text/plain\r\nX: y", body=b"hi")
    async with rpc_stub(agent) as ua:
        code, details = await refused(ua.SendMessage(ua_pb2.SendMessageRequest(message=hostile)))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert details.startswith("content_type")


# Many messages


async def test_each_message_is_acknowledged_once_and_sessions_keep_their_order() -> None:
    agent = FakeAgent()
    sessions = [agent.open() for _ in range(5)]
    async with rpc_stub(agent) as ua:
        call = ua.SendMessages(iter([numbered(number, sessions[number % 5]) for number in range(1, 3_001)]))
        found = [each async for response in call for each in response.acknowledgements]
    assert sorted(each.sequence for each in found) == list(range(1, 3_001))
    assert all(each.message_id and not each.code for each in found)
    for index, session in enumerate(sessions):
        bodies = [int(each.body) for each in agent.messages.values() if each.session_id == session.session_id]
        assert bodies == [number for number in range(1, 3_001) if number % 5 == index]


async def test_messages_of_one_request_have_the_sequences_that_follow_and_keep_their_order() -> None:
    agent = FakeAgent()
    session = agent.open()
    more = [message(session, b"%d" % number) for number in range(1, 200)]
    request = ua_pb2.SendMessagesRequest(sequence=2**64 - 100, message=message(session, b"0"), more=more)
    async with rpc_stub(agent) as ua:
        call = ua.SendMessages(iter([request, numbered(200, session)]))
        found = [each.sequence async for response in call for each in response.acknowledgements]
    assert found == [*range(2**64 - 100, 2**64), *range(100), 200]
    assert [int(each.body) for each in agent.messages.values()] == list(range(201))


async def test_one_that_is_refused_does_not_stop_the_others() -> None:
    agent = FakeAgent()
    good, gone = agent.open(), session_pb2.Session(session_id="f" * 32)
    async with rpc_stub(agent) as ua:
        call = ua.SendMessages(iter([numbered(1, good), numbered(2, gone), numbered(3, good)]))
        found = {each.sequence: each async for response in call for each in response.acknowledgements}
    assert [found[number].code for number in (1, 2, 3)] == [0, grpc.StatusCode.NOT_FOUND.value[0], 0]


async def test_a_window_bounds_what_is_read_ahead() -> None:
    agent = FakeAgent()
    session, sent = agent.open(), 0
    agent.gate.clear()

    async def requests() -> AsyncIterator[ua_pb2.SendMessagesRequest]:
        nonlocal sent
        for number in range(1, 4 * WINDOW):
            request = ua_pb2.SendMessagesRequest(sequence=number, message=message(session, b"x" * 10_000))
            sent = number
            yield request

    async with rpc_stub(agent) as ua:
        call = ua.SendMessages(requests())
        await until(lambda: agent.batches)
        quiet = -1
        while quiet != sent:
            quiet = sent
            await asyncio.sleep(0.2)
        assert sent < 3 * WINDOW
        agent.gate.set()
        assert sum([len(response.acknowledgements) async for response in call]) == 4 * WINDOW - 1


async def test_who_leaves_does_not_cut_off_what_was_handed_in() -> None:
    agent = FakeAgent()
    session = agent.open()
    agent.gate.clear()
    async with rpc_stub(agent) as ua:
        single = ua.SendMessage(ua_pb2.SendMessageRequest(message=message(session, b"one")))
        many = ua.SendMessages(iter([numbered(1, session)]))
        reading = asyncio.ensure_future(many.read())
        await until(lambda: len(agent.batches) == 2)
        single.cancel()
        many.cancel()
        await asyncio.gather(single, reading, return_exceptions=True)
        agent.gate.set()
        await until(lambda: len(agent.messages) == 2)
    assert agent.cancelled == 0


async def test_equal_keys_are_one_message() -> None:
    agent = FakeAgent()
    session = agent.open()
    request = ua_pb2.SendMessageRequest(message=message(session, b"hi", "k"))
    async with rpc_stub(agent) as ua:
        first, again = await ua.SendMessage(request), await ua.SendMessage(request)
    assert (first.message_id, first.duplicate, again.duplicate) == (again.message_id, False, True)


# Files


def file_parts(*parts: bytes) -> list[ua_pb2.SendFileRequest]:
    described = ua_pb2.FileDescription(to_uri="sip:bob@example.com", name="a.bin", content_type="image/png")
    return [ua_pb2.SendFileRequest(file=described), *(ua_pb2.SendFileRequest(data=part) for part in parts)]


async def test_a_file_arrives_whole_and_can_be_read_from_an_offset() -> None:
    agent = FakeAgent()
    content = bytes(range(256)) * 8_192
    async with rpc_stub(agent) as ua:
        sent = await ua.SendFile(
            iter(file_parts(content[:1_000_000], content[1_000_000:2_000_000], content[2_000_000:]))
        )
        request = ua_pb2.GetMessageBodyRequest(blob_id=sent.file.blob_id, offset=1_000)
        read = b"".join([each.data async for each in ua.GetMessageBody(request)])
    assert sent.file.size == len(content)
    assert read == content[1_000:]


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ([], "file"),
        ([ua_pb2.SendFileRequest(data=b"x")], "file"),
        ([*file_parts(b"x"), file_parts()[0]], "data"),
        (file_parts(b"x" * 1_048_577), "data"),
    ],
)
async def test_a_file_in_the_wrong_order_or_in_too_large_parts_is_refused(parts: list[Any], field: str) -> None:
    agent = FakeAgent()
    async with rpc_stub(agent) as ua:
        code, details = await refused(ua.SendFile(iter(parts)))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert details.startswith(f"{field}:")
    assert not agent.files


async def test_a_file_may_take_longer_than_other_calls_but_not_stand_still() -> None:
    async def slowly() -> AsyncIterator[ua_pb2.SendFileRequest]:
        for part in file_parts(*[b"x"] * 8):
            await asyncio.sleep(0.05)
            yield part

    async def stuck() -> AsyncIterator[ua_pb2.SendFileRequest]:
        yield file_parts()[0]
        await asyncio.Event().wait()

    async with rpc_stub(FakeAgent(), patience=0.25, default_timeout=0.2) as ua:
        assert (await ua.SendFile(slowly())).file.size == 8
        code, _ = await refused(ua.SendFile(stuck()))
    assert code is grpc.StatusCode.DEADLINE_EXCEEDED
