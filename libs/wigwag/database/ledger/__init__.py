"""The message ledger: one row per accepted message (DESIGN.md sections 3 and 6)."""

from .batches import Limits
from .edits import Change, Claim, Edit, EndOverdue, Postpone, Release
from .ledger import OUTCOME_TIMEOUT, Ledger
from .messages import MAX_BODY, Backlog, Headers, LedgerEvent, LedgerRow, NewMessage, Outcome, Refusal, Verdict
from .states import FINAL, TRANSITIONS, State

__all__ = [
    "FINAL",
    "MAX_BODY",
    "OUTCOME_TIMEOUT",
    "TRANSITIONS",
    "Backlog",
    "Change",
    "Claim",
    "Edit",
    "EndOverdue",
    "Headers",
    "Ledger",
    "LedgerEvent",
    "LedgerRow",
    "Limits",
    "NewMessage",
    "Outcome",
    "Postpone",
    "Refusal",
    "Release",
    "State",
    "Verdict",
]
