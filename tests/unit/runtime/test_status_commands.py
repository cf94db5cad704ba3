"""MI's status commands answer as OpenSIPS does, and show other pods beside this one."""

import time
from typing import Any

import pytest

from wigwag.errors import NotAuthorizedError, NotFoundError, OverloadedError
from wigwag.runtime.management import ArgumentError, Commands
from wigwag.runtime.status import Severity, StatusTree
from wigwag.runtime.status_commands import MOST_IDENTIFIERS, status_commands
from wigwag.runtime.status_document import document_of, encode
from wigwag.runtime.status_sharing import StatusSharing

NOW = 1_647_526_996.0
"""The moment of the deck's example."""


class OtherPods:
    """A store with the status of one other pod."""

    def __init__(self, tree: StatusTree | None) -> None:
        self._documents = {"b": encode(document_of(tree, pod="b", started=0.0))} if tree is not None else {}

    async def put_status(self, pod_id: str, document: bytes) -> None:
        raise AssertionError("nothing is written by a command")

    async def statuses(self) -> dict[str, bytes]:
        return self._documents


class Caller:
    """Calls commands at pod ``a``."""

    def __init__(self, other: StatusTree | None = None) -> None:
        self.tree = StatusTree(lambda: NOW)
        sharing = StatusSharing(self.tree, "a", OtherPods(other), now=lambda: NOW + 4)
        self._commands = Commands(status_commands(sharing, self.tree))

    async def __call__(self, name: str, *params: str, **named: str) -> Any:
        command = self._commands.find(name)
        assert command is not None
        result = command.run(command.bind(list(params) or named))
        return await result if hasattr(result, "__await__") else result


@pytest.fixture
def caller() -> Caller:
    caller = Caller()
    identifier = caller.tree.group("drouting").identifier("Default", status=1)
    identifier.report("starting DB data loading")
    identifier.report("DB data loading successfully completed")
    identifier.report("row 2 is not used", Severity.WARNING)
    caller.tree.group("drouting").identifier("other", status=-2, details="no data")
    caller.tree.group("core").identifier(status=1, details="running")
    return caller


def report(text: str, severity: str = "info") -> dict[str, Any]:
    return {"Timestamp": int(NOW), "Date": time.ctime(NOW), "Log": text, "Severity": severity}


DEFAULT = [
    report("starting DB data loading"),
    report("DB data loading successfully completed"),
    report("row 2 is not used", "warning"),
]


@pytest.mark.parametrize("name", ["sr_list_reports", "status_report:reports"])
async def test_reports_of_a_group_are_the_decks(caller: Caller, name: str) -> None:
    assert await caller(name, "drouting") == [
        {"Name": "Default", "Reports": DEFAULT},
        {"Name": "other", "Reports": []},
    ]


async def test_reports_of_an_identifier_and_of_everything(caller: Caller) -> None:
    assert await caller("sr_list_reports", "DROUTING", "default") == DEFAULT
    everything = await caller("sr_list_reports")
    assert [(group["Name"], [item["Name"] for item in group["Identifiers"]]) for group in everything] == [
        ("drouting", ["Default", "other"]),
        ("core", ["main"]),
    ]


async def test_reports_are_filtered_by_severity_and_time(caller: Caller) -> None:
    found = await caller("sr_list_reports", group="drouting", identifier="Default", severity="warning")
    assert found == DEFAULT[2:]
    assert await caller("sr_list_reports", group="drouting", identifier="Default", since=str(NOW + 1)) == []


@pytest.mark.parametrize(
    ("params", "result"),
    [
        (["drouting", "Default"], {"Readiness": True, "Status": 1}),
        (["drouting", "other"], {"Readiness": False, "Status": -2, "Details": "no data"}),
        (["drouting", "ALL"], {"Readiness": False, "Status": -1, "Details": "aggregated"}),
        (["core", "all"], {"Readiness": True, "Status": 1, "Details": "aggregated"}),
        (["core"], {"Readiness": True, "Status": 1, "Details": "running"}),
    ],
)
async def test_a_status_is_told_with_its_readiness(caller: Caller, params: list[str], result: Any) -> None:
    assert await caller("sr_get_status", *params) == await caller("status_report:get", *params) == result


async def test_status_lists_and_identifiers(caller: Caller) -> None:
    drouting = [
        {"Name": "Default", "Readiness": True, "Status": 1},
        {"Name": "other", "Readiness": False, "Status": -2, "Details": "no data"},
    ]
    assert await caller("sr_list_status", "drouting") == drouting
    assert (await caller("status_report:status"))[0] == {"Name": "drouting", "Identifiers": drouting}
    listed = {"Group": "drouting", "Identifiers": ["Default", "other"]}
    assert await caller("sr_list_identifiers", "drouting") == listed
    assert await caller("status_report:identifiers") == [listed, {"Group": "core", "Identifiers": ["main"]}]


@pytest.mark.parametrize(
    ("name", "params", "text"),
    [
        ("sr_get_status", ["nothing"], "Group not found"),
        ("sr_get_status", ["drouting"], "Identity not found"),
        ("sr_get_status", ["drouting", "x"], "Identity not found"),
        ("sr_list_status", ["nothing"], "Group not found"),
        ("sr_list_reports", ["nothing"], "Group not found"),
        ("sr_list_reports", ["nothing", "x"], "Group not found"),
        ("sr_list_reports", ["drouting", "x"], "Identifier not found"),
        ("sr_list_identifiers", ["nothing"], "Group not found"),
        ("sr_set_status", ["nothing", "1"], "Group not found"),
    ],
)
async def test_what_is_not_there_is_told_in_opensips_words(
    caller: Caller, name: str, params: list[str], text: str
) -> None:
    with pytest.raises(NotFoundError, match=f"^{text}$"):
        await caller(name, *params)


@pytest.mark.parametrize(
    ("name", "named", "text"),
    [
        ("sr_list_reports", {"identifier": "x"}, "identifier needs group"),
        ("sr_list_reports", {"severity": "bad"}, "severity has to be one of info, warning, error"),
        ("sr_list_reports", {"since": "yesterday"}, "since has to be a number"),
        ("sr_set_status", {"group": "ours", "status": "good"}, "status has to be a whole number"),
    ],
)
async def test_wrong_arguments_are_named(caller: Caller, name: str, named: dict[str, str], text: str) -> None:
    caller.tree.group("ours", public=True)
    with pytest.raises(ArgumentError, match=text):
        await caller(name, **named)


async def test_another_pod_is_shown_with_its_name_and_age() -> None:
    other = StatusTree(lambda: NOW)
    other.group("core").identifier(status=-2, details="shutting down").report("bye")
    other.group("gateway").identifier(status=1)
    caller = Caller(other)
    caller.tree.group("core").identifier(status=1)
    origin = {"Pod": "b", "Age": 4.0}
    assert await caller("sr_list_status", "core") == [
        {"Name": "main", "Readiness": True, "Status": 1},
        {"Name": "main", "Readiness": False, "Status": -2, "Details": "shutting down", **origin},
    ]
    assert await caller("sr_list_reports", "core", "main") == [{**report("bye"), **origin}]
    assert {group["Name"] for group in await caller("sr_list_status")} == {"core", "gateway"}
    assert (await caller("sr_get_status", "core"))["Status"] == 1
    assert (await caller("sr_get_status", group="core", pod="b"))["Status"] == -2
    with pytest.raises(NotFoundError, match="Pod not found"):
        await caller("sr_get_status", group="core", pod="c")


async def test_operators_write_to_public_groups_only(caller: Caller) -> None:
    ours = caller.tree.group("ours", public=True)
    await caller("sr_set_status", "ours", "-7", "disk nearly full")
    await caller("sr_add_report", group="ours", report="cleaned up", severity="warning", identifier="disk")
    assert [(item.name, item.status, item.details) for item in ours] == [
        ("main", -7, "disk nearly full"),
        ("disk", 1, ""),
    ]
    assert [item.text for identifier in ours for item in identifier.reports] == ["cleaned up"]
    for name, params in (("sr_set_status", ["core", "-1"]), ("sr_add_report", ["core", "lie"])):
        with pytest.raises(NotAuthorizedError):
            await caller(name, *params)


async def test_identifiers_that_operators_make_are_bounded(caller: Caller) -> None:
    caller.tree.group("ours", public=True)
    for number in range(MOST_IDENTIFIERS):
        await caller("sr_set_status", "ours", "1", "", f"i{number}")
    with pytest.raises(OverloadedError):
        await caller("sr_set_status", "ours", "1", "", "one more")
    await caller("sr_set_status", "ours", "-1", "", "i5")
