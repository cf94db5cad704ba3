"""``/v1/status``: all pods, filters, pages."""

import time
from typing import Any

import pytest

from tests.unit.node.test_admin import READ, TOKENS, bearer, served
from wigwag.errors import StoreError
from wigwag.node.cli_status import moment
from wigwag.node.status_api import status_router
from wigwag.runtime.status import Severity, StatusTree
from wigwag.runtime.status_document import document_of, encode
from wigwag.runtime.status_sharing import StatusSharing


class OtherPod:
    """A store with one other pod."""

    def __init__(self) -> None:
        tree = StatusTree(lambda: 90.0)
        tree.group("relay").identifier(status=-1).report("lost", Severity.ERROR)
        self.documents = {"b": encode(document_of(tree, pod="b", started=1.0))}
        self.away = False

    async def put_status(self, pod_id: str, document: bytes) -> None:
        raise AssertionError("nothing is written by a question")

    async def statuses(self) -> dict[str, bytes]:
        if self.away:
            raise StoreError("connection refused")
        return self.documents


def sharing_with(store: OtherPod | None = None) -> StatusSharing:
    clock = [100.0]
    tree = StatusTree(lambda: clock[0])
    relay = tree.group("relay").identifier(status=1)
    for number in range(5):
        clock[0] += 1
        relay.report(f"event {number}", Severity.WARNING if number % 2 else Severity.INFO)
    tree.group("store").identifier(status=-1, details="away")
    return StatusSharing(tree, "a", store, now=lambda: 110.0)


async def get(sharing: StatusSharing, path: str, **query: Any) -> Any:
    async with served(routers=[status_router(sharing)]) as client:
        answer = await client.get(path, params=query)
    return answer.json()


async def test_all_pods_are_shown_and_chosen() -> None:
    sharing = sharing_with(OtherPod())
    found = await get(sharing, "/v1/status")
    assert [(pod["pod"], pod["own"], pod["age"]) for pod in found["pods"]] == [("a", True, 0.0), ("b", False, 20.0)]
    assert [(group["name"], group["ready"]) for group in found["pods"][0]["groups"]] == [
        ("relay", True),
        ("store", False),
    ]
    assert found["problem"] is None
    chosen = await get(sharing, "/v1/status", pod="b", group="RELAY")
    assert [[group["name"] for group in pod["groups"]] for pod in chosen["pods"]] == [["relay"]]


async def test_without_the_store_the_answer_says_that_pods_may_be_missing() -> None:
    store = OtherPod()
    store.away = True
    for path in ("/v1/status", "/v1/status/reports"):
        assert "connection refused" in (await get(sharing_with(store), path))["problem"]


async def test_reports_come_in_pages_over_all_pods() -> None:
    sharing = sharing_with(OtherPod())
    found: list[str] = []
    async with served(routers=[status_router(sharing)]) as client:
        after = None
        while True:
            query = {"limit": "2"} | ({"after": after} if after else {})
            page = (await client.get("/v1/status/reports", params=query)).json()
            found += [report["text"] for report in page["reports"]]
            after = page["next"]
            if after is None:
                break
    assert found == ["lost", *(f"event {number}" for number in range(5))]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"severity": "warning"}, 3),
        ({"severity": "error"}, 1),
        ({"group": "relay", "pod": "a"}, 5),
        ({"group": "store"}, 0),
        ({"since": 103}, 3),
        ({"since": 103, "until": 104}, 1),
        ({"identifier": "main", "severity": "warning", "since": 105}, 0),
    ],
)
async def test_reports_are_filtered(query: dict[str, Any], count: int) -> None:
    found = await get(sharing_with(OtherPod()), "/v1/status/reports", **query)
    assert len(found["reports"]) == count


@pytest.mark.parametrize("query", [{"severity": "bad"}, {"since": "x"}, {"limit": 0}, {"limit": 5000}, {"after": "x"}])
async def test_a_wrong_question_is_refused(query: dict[str, Any]) -> None:
    assert (await get(sharing_with(), "/v1/status/reports", **query))["status"] == 422


async def test_status_needs_a_token_where_there_are_some() -> None:
    async with served(tokens=TOKENS, routers=[status_router(sharing_with())]) as client:
        assert (await client.get("/v1/status")).status_code == 401
        assert (await client.get("/v1/status", headers=bearer(READ))).status_code == 200


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7_200), ("1d", 86_400), ("0s", 0)])
def test_a_span_is_so_long_ago(text: str, seconds: int) -> None:
    assert moment(text, now=1_000_000.0) == 1_000_000.0 - seconds


def test_a_date_is_local_time() -> None:
    expected = time.mktime((2026, 11, 25, 19, 30, 0, 0, 0, -1))
    assert moment("2026-11-25 19:30") == moment("2026-11-25T19:30:00") == expected
    assert moment(None) is None


@pytest.mark.parametrize("text", ["", "m", "-5m", "1w", "½h", "yesterday", "2026-13-01", "9999999999999d"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(Exception, match="--since"):
        moment(text)
