"""Calls of applications are counted by use case and outcome."""

from collections import Counter

import pytest

from wigwag.errors import ConflictError, NotFoundError
from wigwag.ua.calls import count_outcomes, counted
from wigwag.ua.ports import Outcome


class Agent:
    """Something with a use case."""

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()

    @counted
    async def find(self, name: str) -> str:
        if name == "nobody":
            raise NotFoundError("nobody")
        return name.upper()

    @counted
    async def break_down(self) -> None:
        raise ZeroDivisionError


async def test_a_call_counts_by_what_its_caller_is_told() -> None:
    agent = Agent()
    assert await agent.find("alice") == "ALICE"
    with pytest.raises(NotFoundError):
        await agent.find("nobody")
    with pytest.raises(ZeroDivisionError):
        await agent.break_down()
    assert agent.calls == {("find", "OK"): 1, ("find", "NOT_FOUND"): 1, ("break_down", "INTERNAL"): 1}


def test_each_message_of_a_call_counts_by_itself() -> None:
    calls: Counter[tuple[str, str]] = Counter()
    errors: list[Exception | None] = [None, ConflictError("over"), None, ValueError("ours")]
    count_outcomes(calls, "send_messages", [Outcome(error=error) for error in errors])
    assert calls == {
        ("send_messages", "OK"): 2,
        ("send_messages", "FAILED_PRECONDITION"): 1,
        ("send_messages", "INTERNAL"): 1,
    }
