"""A pod's status reaches all pods: soon, not too often, and again when the store forgot it."""

import asyncio
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from tests.support.waiting import until
from wigwag.errors import StoreError
from wigwag.runtime.status import StatusTree
from wigwag.runtime.status_document import decode
from wigwag.runtime.status_sharing import StatusSharing, WriteSchedule


class ForgetfulStore:
    """Holds documents; may be away."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        self.away = False
        self.writes = 0

    async def put_status(self, pod_id: str, document: bytes) -> None:
        self.writes += 1
        if self.away:
            raise StoreError("connection refused")
        self.documents[pod_id] = document

    async def statuses(self) -> Mapping[str, bytes]:
        if self.away:
            raise StoreError("connection refused")
        return dict(self.documents)


def sharing(pod: str, store: ForgetfulStore | None, now: float = 1_000.0) -> tuple[StatusTree, StatusSharing]:
    tree = StatusTree(lambda: now)
    return tree, StatusSharing(tree, pod, store, now=lambda: now, schedule=WriteSchedule(0.001, 0.02))


async def test_all_pods_are_shown_this_one_first_and_the_others_with_their_age() -> None:
    store = ForgetfulStore()
    other_tree, other = sharing("a", store, now=990.0)
    other_tree.group("relay").identifier().set(1, "serving")
    await other.write()
    _, own = sharing("b", store)
    await own.write()
    cluster = await own.cluster()
    assert [(pod.document.pod, pod.own, pod.age) for pod in cluster.pods] == [("b", True, 0.0), ("a", False, 10.0)]
    assert cluster.problem == ""
    relay = cluster.pods[1].document.find("relay")
    assert relay is not None
    assert relay.identifiers[0].details == "serving"


async def test_a_clock_that_is_behind_makes_no_negative_age() -> None:
    store = ForgetfulStore()
    await sharing("a", store, now=5_000.0)[1].write()
    cluster = await sharing("b", store)[1].cluster()
    assert cluster.pods[1].age == 0.0


async def test_without_the_store_this_pod_is_shown_and_why_no_other_is() -> None:
    store = ForgetfulStore()
    store.away = True
    cluster = await sharing("a", store)[1].cluster()
    assert [pod.own for pod in cluster.pods] == [True]
    assert "connection refused" in cluster.problem


async def test_a_document_that_cannot_be_read_hides_no_other() -> None:
    store = ForgetfulStore()
    await sharing("a", store)[1].write()
    store.documents["broken"] = b"{"
    cluster = await sharing("b", store)[1].cluster()
    assert [pod.document.pod for pod in cluster.pods] == ["b", "a"]
    assert "broken" in cluster.problem


async def test_a_change_is_written_and_a_store_that_forgot_has_it_again() -> None:
    store = ForgetfulStore()
    tree, own = sharing("a", store)
    task = asyncio.create_task(own.run())
    await until(lambda: "a" in store.documents)
    tree.group("relay").identifier().report("something happened")
    await until(lambda: b"something happened" in store.documents["a"])
    store.documents.clear()
    await until(lambda: "a" in store.documents)
    task.cancel()


async def test_a_store_that_was_away_gets_the_last_status() -> None:
    store = ForgetfulStore()
    store.away = True
    tree, own = sharing("a", store)
    task = asyncio.create_task(own.run())
    await until(lambda: store.writes > 2)
    tree.group("store").identifier().set(-1, "away")
    store.away = False
    await until(lambda: "a" in store.documents)
    await until(lambda: decode(store.documents["a"]).find("store") is not None)
    task.cancel()


@given(
    st.lists(
        st.tuples(st.sampled_from(["change", "look", "fail"]), st.sampled_from([0.0, 0.25, 0.5, 1.0, 3.0])), max_size=60
    )
)
def test_writes_are_an_interval_apart_and_never_a_refresh(steps: list[tuple[str, float]]) -> None:
    schedule, now, last = WriteSchedule(1.0, 10.0), 0.0, None
    for what, pause in steps:
        now += pause
        if what == "change":
            schedule.changed()
        if schedule.due(now) <= 0:
            assert last is None or now - last >= 1.0
            schedule.begun(now)
            last = now
            if what == "fail":
                schedule.failed()
        assert schedule.due(now) <= 10.0
