import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration

from tests.support.fake_relay import SESSION
from tests.support.rpc import POD, RelayService
from wigwag.api.relay.v1 import relay_pb2, session_pb2
from wigwag.api.relay.v1.relay_pb2_grpc import RelayServiceStub
from wigwag.relay.draining import DrainState
from wigwag.relay.views import SessionChange
from wigwag.runtime.rpc import Backoff, open_channel, resumed

PRESENT = session_pb2.SESSION_CHANGE_KIND_PRESENT


@asynccontextmanager
async def stub(service: RelayService) -> AsyncIterator[RelayServiceStub]:
    async with service.served() as server, open_channel(server.target) as channel:
        yield RelayServiceStub(channel)


async def refused(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(call, 10)
    return caught.value.code(), caught.value.details() or ""


async def frame(watch: Any) -> relay_pb2.WatchSessionsResponse:
    response = await asyncio.wait_for(watch.read(), 10)
    assert isinstance(response, relay_pb2.WatchSessionsResponse)
    return response


def kinds(response: relay_pb2.WatchSessionsResponse) -> list[tuple[str, str]]:
    """Return what happened to whom."""
    names = [session_pb2.SessionChangeKind.Name(change.kind) for change in response.changes]
    return [
        (name.removeprefix("SESSION_CHANGE_KIND_").lower(), change.session.id[-2:])
        for name, change in zip(names, response.changes, strict=True)
    ]


def changed(service: RelayService, session_id: str, change: SessionChange, reason: str = "") -> None:
    service.journal.session_changed(replace(SESSION, id=session_id), change, reason)


async def test_pages_add_up_to_all_sessions() -> None:
    found, token = [], ""
    async with stub(RelayService(sessions=7)) as relay:
        while True:
            page = await relay.ListSessions(relay_pb2.ListSessionsRequest(page_size=3, page_token=token))
            found += [session.id for session in page.sessions]
            token = page.next_page_token
            if not token:
                break
    assert found == [f"{index:016x}" for index in range(7)]


async def test_a_page_has_a_hundred_sessions_unless_asked_and_a_thousand_at_most() -> None:
    async with stub(RelayService(sessions=1_100)) as relay:
        usual = await relay.ListSessions(relay_pb2.ListSessionsRequest())
        large = await relay.ListSessions(relay_pb2.ListSessionsRequest(page_size=5_000))
    assert (len(usual.sessions), len(large.sessions)) == (100, 1_000)


@pytest.mark.parametrize(
    ("request_", "count"),
    [
        (relay_pb2.ListSessionsRequest(user="alice"), 1),
        (relay_pb2.ListSessionsRequest(user="bob"), 0),
        (relay_pb2.ListSessionsRequest(realm="example.org"), 0),
        (relay_pb2.ListSessionsRequest(state=session_pb2.SESSION_STATE_ACTIVE), 1),
        (relay_pb2.ListSessionsRequest(state=session_pb2.SESSION_STATE_SUSPENDED), 0),
    ],
)
async def test_sessions_are_filtered(request_: relay_pb2.ListSessionsRequest, count: int) -> None:
    async with stub(RelayService()) as relay:
        assert len((await relay.ListSessions(request_)).sessions) == count


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (relay_pb2.ListSessionsRequest(page_token="x"), "page_token is not from a page with these filters"),
        (relay_pb2.ListSessionsRequest(page_size=-1), "page_size is negative"),
        (relay_pb2.ListSessionsRequest(state=99), "state 99 is unknown"),  # type: ignore[arg-type]
    ],
)
async def test_a_request_that_makes_no_sense_is_an_invalid_argument(
    request_: relay_pb2.ListSessionsRequest, reason: str
) -> None:
    async with stub(RelayService()) as relay:
        assert await refused(relay.ListSessions(request_)) == (grpc.StatusCode.INVALID_ARGUMENT, reason)


async def test_a_session_is_shown_as_it_is_and_can_be_ended() -> None:
    service = RelayService()
    async with stub(service) as relay:
        session = (await relay.GetSession(relay_pb2.GetSessionRequest(session_id=SESSION.id))).session
        await relay.EndSession(relay_pb2.EndSessionRequest(session_id=SESSION.id))
        code, reason = await refused(relay.EndSession(relay_pb2.EndSessionRequest(session_id=SESSION.id)))
    assert (session.user, session.state, session.pod) == ("alice", session_pb2.SESSION_STATE_ACTIVE, POD)
    assert (session.create_time.seconds, session.expire_time.seconds) == (1_700_000_000, 1_700_001_800)
    assert (session.messages_in, session.messages_out, session.bytes_in, session.bytes_out) == (1, 2, 3, 4)
    assert (code, reason) == (grpc.StatusCode.NOT_FOUND, f"no session {SESSION.id}")
    assert service.relay.sessions == {}


async def test_a_watch_begins_with_a_snapshot_and_goes_on_with_changes() -> None:
    service = RelayService(sessions=2)
    async with stub(service) as relay:
        watch = relay.WatchSessions(relay_pb2.WatchSessionsRequest())
        snapshot = await frame(watch)
        changed(service, "aa", SessionChange.GRANTED)
        changed(service, "aa", SessionChange.ENDED, "expired")
        changes = await frame(watch)
    assert (snapshot.snapshot_begins, snapshot.snapshot_ends) == (True, True)
    assert kinds(snapshot) == [("present", "00"), ("present", "01")]
    assert kinds(changes) == [("granted", "aa"), ("ended", "aa")]
    assert [change.sequence for change in changes.changes] == [1, 2]
    assert changes.changes[1].reason == "expired"
    assert changes.changes[0].change_time.ToNanoseconds() == 1_700_000_000_250_000_000


async def test_an_empty_snapshot_is_told_too() -> None:
    async with stub(RelayService(sessions=0)) as relay:
        snapshot = await frame(relay.WatchSessions(relay_pb2.WatchSessionsRequest()))
    assert (snapshot.snapshot_begins, snapshot.snapshot_ends, len(snapshot.changes)) == (True, True, 0)


async def test_a_large_snapshot_comes_in_batches_and_only_its_end_can_be_resumed() -> None:
    async with stub(RelayService(sessions=150)) as relay:
        watch = relay.WatchSessions(relay_pb2.WatchSessionsRequest())
        frames = [await frame(watch) for _ in range(3)]
    assert [len(item.changes) for item in frames] == [64, 64, 22]
    assert [item.snapshot_begins for item in frames] == [True, False, False]
    assert [bool(item.resume_token) for item in frames] == [False, False, True]


async def test_a_watch_that_is_resumed_misses_nothing_and_repeats_nothing() -> None:
    service = RelayService()
    async with stub(service) as relay:
        watch = relay.WatchSessions(relay_pb2.WatchSessionsRequest())
        await frame(watch)
        changed(service, "01", SessionChange.GRANTED)
        token = (await frame(watch)).resume_token
        watch.cancel()
        changed(service, "01", SessionChange.SUSPENDED)
        changed(service, "01", SessionChange.RESUMED)
        again = await frame(relay.WatchSessions(relay_pb2.WatchSessionsRequest(resume_token=token)))
    assert kinds(again) == [("suspended", "01"), ("resumed", "01")]
    assert not again.snapshot_begins


@pytest.mark.parametrize("token", [f"{POD}.0", "pod-2.7"])
async def test_a_token_that_is_too_old_or_of_another_pod_brings_a_snapshot(token: str) -> None:
    service = RelayService(capacity=2)
    for index in range(3):
        changed(service, f"0{index}", SessionChange.GRANTED)
    async with stub(service) as relay:
        first = await frame(relay.WatchSessions(relay_pb2.WatchSessionsRequest(resume_token=token)))
    assert first.snapshot_begins
    assert first.resume_token == f"{POD}.3"


async def test_what_is_no_resume_token_is_an_invalid_argument() -> None:
    async with stub(RelayService()) as relay:
        watch = relay.WatchSessions(relay_pb2.WatchSessionsRequest(resume_token="x"))
        code, _ = await refused(watch.read())
    assert code is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_watch_of_one_user_shows_nobody_else() -> None:
    service = RelayService()
    async with stub(service) as relay:
        watch = relay.WatchSessions(relay_pb2.WatchSessionsRequest(user="bob"))
        assert kinds(await frame(watch)) == []
        changed(service, "aa", SessionChange.GRANTED)
        service.journal.session_changed(replace(SESSION, id="bb", user="bob"), SessionChange.MOVED, "")
        assert kinds(await frame(watch)) == [("moved", "bb")]


async def test_a_watch_goes_on_at_a_server_that_was_opened_again() -> None:
    service, seen = RelayService(), []
    async with service.served() as server:
        target, port = server.target, int(server.target.rpartition(":")[2])
        async with open_channel(target) as channel:
            relay = RelayServiceStub(channel)
            frames = resumed(
                lambda token: relay.WatchSessions(relay_pb2.WatchSessionsRequest(resume_token=token)),
                lambda response: response.resume_token,
                backoff=Backoff(first=0.01, longest=0.05),
            )
            seen.append(kinds(await anext(frames)))
            await server.__aexit__()
            changed(service, "aa", SessionChange.GRANTED)
            async with service.served(port=port), asyncio.timeout(20):
                seen.append(kinds(await anext(frames)))
            await frames.aclose()  # type: ignore[attr-defined]
    assert seen == [[("present", "00")], [("granted", "aa")]]


async def test_a_drain_can_be_begun_shown_and_taken_back() -> None:
    service = RelayService()
    async with stub(service) as relay:
        begun = await relay.Drain(relay_pb2.DrainRequest(grace=Duration(seconds=5, nanos=500_000_000)))
        shown = await relay.GetDrain(relay_pb2.GetDrainRequest())
        back = await relay.CancelDrain(relay_pb2.CancelDrainRequest())
        await relay.Drain(relay_pb2.DrainRequest())
    assert service.drain.graces == [5.5, None]
    assert begun.status == shown.status
    assert (shown.status.state, back.status.state) == (relay_pb2.DRAIN_STATE_DRAINING, relay_pb2.DRAIN_STATE_SERVING)
    assert (shown.status.sessions, shown.status.connections) == (3, 2)
    assert (shown.status.open_chunks, shown.status.open_transactions) == (1, 4)
    assert not back.status.HasField("deadline")
    assert shown.status.deadline.ToNanoseconds() == 1_700_000_000_500_000_000


async def test_a_drain_that_is_too_late_to_take_back_says_so() -> None:
    service = RelayService()
    service.drain.state, service.drain.too_late = DrainState.DRAINING, True
    async with stub(service) as relay:
        assert await refused(relay.CancelDrain(relay_pb2.CancelDrainRequest())) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "connections are being closed",
        )


@pytest.mark.parametrize("seconds", [-1, 86_401])
async def test_a_grace_time_out_of_range_is_an_invalid_argument(seconds: int) -> None:
    service = RelayService()
    async with stub(service) as relay:
        code, reason = await refused(relay.Drain(relay_pb2.DrainRequest(grace=Duration(seconds=seconds))))
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "grace is not between 0 and 86400 seconds")
    assert service.drain.graces == []
