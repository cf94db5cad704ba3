"""``wigwag messages list --history``, ``show`` and ``purge`` at a node that answers as the gateway's REST does."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from wigwag.errors import ConfigurationError, NotFoundError
from wigwag.node import cli_messages
from wigwag.node.cli import app

MESSAGE = {
    "message_id": "m-1",
    "state": "delivered",
    "origin": "page",
    "way": "session",
    "sender": "sip:alice@example.com",
    "recipient": "sip:bob@example.com",
    "accepted_at": "2026-11-26T06:00:00Z",
    "status": 200,
    "reason": "OK",
}
HOP = {"ledger_id": "m-1", "service": "gateway", "direction": "pager-inbound", "state": "delivered"}


class Node:
    """Answers, and remembers what it was asked."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __enter__(self) -> "Node":
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Nothing is open."""

    def get(self, path: str, **query: Any) -> Any:
        self.asked.append((path, {name: value for name, value in query.items() if value is not None}))
        if path not in self.answers:
            raise NotFoundError(f"no {path}")
        found = self.answers[path]
        return found.pop(0) if isinstance(found, list) else found

    def post(self, path: str, body: Any) -> Any:
        self.asked.append((path, body))
        return self.answers[path]


Run = Callable[..., tuple[Result, Node]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    def run(*words: str, text: str | None = None, **answers: Any) -> tuple[Result, Node]:
        node = Node({name.replace("__", "/").replace("_1", "-1"): value for name, value in answers.items()})
        monkeypatch.setattr(cli_messages, "client_of", lambda *arguments: node)
        return CliRunner().invoke(app, ["messages", *words], input=text), node

    return run


def test_history_is_listed_page_by_page_with_its_filters(run: Run) -> None:
    pages = [{"messages": [MESSAGE], "next_page_token": "7"}, {"messages": [MESSAGE], "next_page_token": ""}]
    words = ("--history", "--address", "sip:alice@example.com", "--since", "2026-11-26T06:00", "--json")
    result, node = run("list", *words, __v1__gateway__messages=pages)
    assert json.loads(result.stdout) == [MESSAGE, MESSAGE]
    first, second = (query for _, query in node.asked)
    assert first["address"] == "sip:alice@example.com"
    assert first["since"] == "2026-11-26T06:00:00+00:00"
    assert second["page_token"] == "7"


def test_a_message_is_a_line_with_its_whole_id_where_no_terminal_is(run: Run) -> None:
    long = "pager-7dbfa8841c6c95c8076751de56d078ddb7e488a5"
    page = {"messages": [MESSAGE | {"message_id": long}], "next_page_token": ""}
    result, _ = run("list", "--history", __v1__gateway__messages=page)
    (line,) = (each for each in result.stdout.splitlines() if each.startswith(long))
    assert line.split()[-2:] == ["200", "OK"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--address", "sip:a@b"), "need --history"),
        (("--history", "--recipient", "sip:a@b"), "--address"),
        (("--history", "--since", "yesterday"), "--since: yesterday"),
    ],
)
def test_options_that_make_no_sense_are_named(run: Run, words: tuple[str, ...], reason: str) -> None:
    result, _ = run("list", *words)
    assert isinstance(result.exception, ConfigurationError)
    assert reason in str(result.exception)


def test_a_message_that_only_the_archive_knows_is_shown(run: Run) -> None:
    past: dict[str, Any] = {"message": MESSAGE, "hops": [], "pod": "", "base64": None}
    result, _ = run("show", "m-1", "--json", __v1__gateway__messages__m_1=past)
    assert json.loads(result.stdout) == {**MESSAGE, "hops": []}


def test_a_message_under_way_is_shown_with_its_ways(run: Run) -> None:
    past = {"message": MESSAGE, "hops": [HOP], "pod": "", "base64": None}
    row = {"id": "m-1", "state": "delivered", "created": 1.0, "updated": 1.0, "settled": None, "expires": 2.0}
    answers = {"__v1__gateway__messages__m_1": past, "__v1__messages__m_1": row}
    result, _ = run("show", "m-1", "--json", **answers)
    assert json.loads(result.stdout) == {**row, "hops": [HOP]}


def test_a_purge_is_confirmed_first(run: Run) -> None:
    done = {"removed": 3, "ended": 1, "left": 2}
    refused, node = run("purge", "sip:alice@example.com", text="n\n", __v1__gateway__purge=done)
    assert (refused.exit_code, node.asked) == (1, [])
    result, node = run("purge", "sip:alice@example.com", "--yes", __v1__gateway__purge=done)
    assert node.asked == [("/v1/gateway/purge", {"address": "sip:alice@example.com"})]
    assert "3 bodies removed" in result.stdout
    assert "2 messages are under way" in result.stdout
