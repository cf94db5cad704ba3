import asyncio
from dataclasses import replace

import pytest

from tests.support.fake_relay import SESSION
from tests.support.relay import FakeClient, RelayUnderTest, session_views
from tests.support.relay_cluster import ClusterUnderTest
from wigwag.errors import InvalidRequestError
from wigwag.relay.config import RelaySettings
from wigwag.relay.service import Relay
from wigwag.relay.session_journal import SessionJournal
from wigwag.relay.views import SessionChange, SessionView

URI = "msrps://client.invalid:9/a;tcp"


def journal(changes: int = 0, *, capacity: int = 3) -> SessionJournal:
    made = SessionJournal("run.1", lambda: 5.0, capacity=capacity)
    for index in range(changes):
        made.session_changed(replace(SESSION, id=str(index)), SessionChange.GRANTED, "")
    return made


def test_changes_are_numbered_and_read_in_parts() -> None:
    made = journal(3)
    parts = [made.after(0, 2), made.after(2, 2), made.after(3, 2)]
    assert [[(entry.sequence, entry.view.id) for entry in part or ()] for part in parts] == [
        [(1, "0"), (2, "1")],
        [(3, "2")],
        [],
    ]


@pytest.mark.parametrize("position", [0, 1, 6, -1])
def test_what_is_not_known_any_more_or_not_yet_is_not_read(position: int) -> None:
    assert journal(5).after(position, 9) is None


def test_the_oldest_change_that_is_kept_can_still_be_read() -> None:
    entries = journal(5).after(2, 9)
    assert [entry.sequence for entry in entries or ()] == [3, 4, 5]


def test_a_resume_token_stands_for_its_position_in_the_same_run_only() -> None:
    made = journal(2)
    assert made.position_of(made.token(2)) == 2
    assert SessionJournal("run.2", lambda: 0.0).position_of(made.token(2)) is None


@pytest.mark.parametrize("token", ["x", ".1", "run.1.", "run.1.-1", "run.1.²", "run.1.1x"])
def test_what_is_no_resume_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidRequestError, match="resume_token"):
        journal().position_of(token)


async def test_who_waits_is_woken_by_the_next_change() -> None:
    made = journal(1)
    await asyncio.wait_for(made.beyond(0), 1)
    waiting = asyncio.create_task(made.beyond(1))
    await asyncio.sleep(0)
    assert not waiting.done()
    made.session_changed(SESSION, SessionChange.ENDED, "why")
    await asyncio.wait_for(waiting, 1)


class Observed:
    """Remembers what the relay said of its sessions."""

    def __init__(self, relay: Relay) -> None:
        self.seen: list[tuple[str, str, str]] = []
        self.pods: list[str] = []
        relay.observers.append(self)

    def session_changed(self, view: SessionView, change: SessionChange, reason: str) -> None:
        self.seen.append((change.value, view.state, reason))
        self.pods.append(view.pod)


async def test_the_relay_tells_what_happens_to_a_session() -> None:
    under_test = RelayUnderTest()
    observed = Observed(under_test.relay)
    first = await under_test.client("alice", URI)
    await first.authenticate()
    second = await under_test.client("alice", URI)
    second.channel.lose()
    await under_test.client("alice", URI)
    under_test.relay.end_session(session_views(under_test.relay)[0].id)
    assert observed.seen == [
        ("granted", "active", ""),
        ("refreshed", "active", ""),
        ("moved", "active", ""),
        ("suspended", "suspended", ""),
        ("resumed", "active", ""),
        ("ended", "ended", "ended by an operator"),
    ]


async def test_a_session_that_may_not_be_resumed_ends_with_its_connection() -> None:
    under_test = RelayUnderTest(RelaySettings(resume_window=0))
    observed = Observed(under_test.relay)
    (await under_test.client("alice", URI)).channel.lose()
    assert observed.seen == [("granted", "active", ""), ("ended", "ended", "connection lost")]


async def test_a_session_that_goes_to_another_pod_is_told_at_both() -> None:
    async with ClusterUnderTest() as cluster:
        observed = [Observed(pod.relay) for pod in cluster.pods]
        for pod in (*cluster.pods, cluster.pods[1]):
            client = FakeClient(pod, pod.connect(), "alice", URI)
            await client.authenticate()
            await cluster.settle()
        names = [pod.relay.cluster.pod for pod in cluster.pods if pod.relay.cluster is not None]
    here, there = observed
    assert [change for change, _, _ in here.seen] == ["granted", "moved"]
    assert here.pods == names
    assert [change for change, _, _ in there.seen] == ["resumed", "moved"]
    assert there.pods == [names[1], names[1]]
