"""What the ledger refuses before a batch has to suffer for it."""

from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.ledger import new_message
from wigwag.database.ledger import Change, Claim, Edit, Postpone, State
from wigwag.database.ledger.edits import check_edit
from wigwag.database.ledger.messages import LONGEST, check, headers_from, headers_text
from wigwag.database.tables import wigwag_ledger
from wigwag.errors import ConflictError


@pytest.mark.parametrize(
    "edit",
    [
        Claim(id="m", owner="", token=1),
        Claim(id="m", owner="pod\n", token=1),
        Claim(id="m", owner="pod", token=-1),
        Claim(id="m", owner="pod", token=2**63),
        Postpone(id="m", token=1, attempt=1, until=float("inf")),
        Change(id="m", version=1, state=State.FAILED, status=2**31),
    ],
)
def test_edit_that_can_not_be_stored_is_refused_before_it_is_taken(edit: Edit) -> None:
    with pytest.raises(ConflictError):
        check_edit(edit)


@pytest.mark.parametrize(
    "values",
    [
        {"id": ""},
        {"id": "with blank"},
        {"id": "x" * 129},
        {"id": "grüße"},
        {"conversation": "c" * 513},
        {"recipient": " sip:bob@example.com"},
        {"expires": float("inf")},
        {"expires": float("nan")},
        {"body": b"x" * 65_537},
        {"blob": "both"},
        {"headers": (("X", "y" * 16_384),)},
    ],
)
def test_message_that_does_not_fit_is_a_conflict(values: dict[str, Any]) -> None:
    with pytest.raises(ConflictError):
        check(replace(new_message(), **values))


def test_what_is_checked_is_what_the_columns_hold() -> None:
    assert {name: wigwag_ledger.c[name].type.length for name in LONGEST} == LONGEST  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "headers",
    [(), (("A", ""), ("A", "grüße \U0001f44b"), ("", '\x00\r\n\x7f"\\/')), (("A", "\udcff"), ("B", "\ud800x"))],
)
def test_headers_come_back_as_they_went(headers: tuple[tuple[str, str], ...]) -> None:
    text = headers_text(headers)
    assert text.isascii()
    assert headers_from(text) == headers
