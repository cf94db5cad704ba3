"""Arguments are bound by position or by name, and checked."""

from typing import Any

import pytest

from wigwag.errors import ConflictError
from wigwag.runtime.management import ArgumentError, Command, Commands

COMMAND = Command(
    name="status_report:get",
    aliases=("sr_get_status",),
    run=dict,
    required=("group",),
    optional=("identifier", "names"),
    lists=frozenset({"names"}),
    summary="",
)


@pytest.mark.parametrize(
    ("params", "bound"),
    [
        (["core"], {"group": "core"}),
        (["core", "main"], {"group": "core", "identifier": "main"}),
        ({"identifier": "main", "group": "core"}, {"group": "core", "identifier": "main"}),
        ([5, 1.5], {"group": "5", "identifier": "1.5"}),
        (["core", "main", ["a", 1]], {"group": "core", "identifier": "main", "names": ["a", "1"]}),
        ({"group": "core", "names": "a"}, {"group": "core", "names": ["a"]}),
    ],
)
def test_arguments_are_bound(params: Any, bound: dict[str, Any]) -> None:
    assert COMMAND.bind(params) == bound


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ([], "needs 'group'"),
        ({}, "needs 'group'"),
        ({"identifier": "x"}, "needs 'group'"),
        (["a", "b", ["c"], "d"], "3 arguments at most"),
        ({"group": "a", "grp": "b"}, "no argument 'grp'"),
        ([None], "group has to be text"),
        ([True], "group has to be text"),
        ([["a"]], "group has to be text"),
        ([{}], "group has to be text"),
        (["a", "b", [None]], "names has to be text"),
    ],
)
def test_wrong_arguments_are_refused_by_name(params: Any, reason: str) -> None:
    with pytest.raises(ArgumentError, match=reason):
        COMMAND.bind(params)


def test_a_command_is_found_by_either_spelling_and_only_in_its_case() -> None:
    commands = Commands([COMMAND])
    assert commands.find("sr_get_status") is commands.find("status_report:get") is COMMAND
    assert commands.find("SR_get_status") is None
    assert list(commands) == ["sr_get_status", "status_report:get"]


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ConflictError, match="sr_get_status"):
        Commands([COMMAND, Command(name="sr_get_status", run=dict, summary="")])
