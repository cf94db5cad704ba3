"""One MESSAGE on its way into the ledger, and what its branches have said (DESIGN.md sections 5, 6)."""

from typing import TYPE_CHECKING, Final

from wigwag.database.ledger import Change, State
from wigwag.database.ledger.states import FIRST_VERSION
from wigwag.relay.sip.proxy.best_response import is_own

if TYPE_CHECKING:
    from wigwag.protocols.sip import Request
    from wigwag.relay.sip.proxy.forwarding import Forwarding
    from wigwag.relay.sip.proxy.forwarding_branch import Branch

ABSENT: Final = frozenset({408, 430, 480})
"""Statuses that say that a device was not reached."""
_NO_PAGES: Final = frozenset({405, 501})
"""Statuses that say that a device takes no MESSAGE, whatever is in it."""
_NOT_THIS: Final = frozenset({415, 488})
"""Statuses that say so when it was text, which who takes MESSAGE has to take (RFC 3428 section 7)."""
_ACCEPTED_BY_ANOTHER: Final = 202


class Storing:
    """What is known of a MESSAGE that is being kept; the context of its ``Forwarding``.

    Attributes:
        reason: Why it is kept, one of ``REASONS``.
        id: Of its row, once that is durable.
        answer: Status and reason of the 2xx of a device that came all the same.
    """

    __slots__ = ("answer", "id", "reason")

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.id = ""
        self.answer: tuple[int, str] | None = None


def is_absent(forwarding: "Forwarding") -> bool:
    """Tell whether no branch has been answered but with what says that nobody is there."""
    return all(branch.pending or is_not_reached(branch) for branch in forwarding.branches)


def takes_no_pages(branch: "Branch") -> bool:
    """Tell whether a device has answered a MESSAGE that it takes none.

    A 6xx is no such word: the message has arrived and was refused (RFC 3428 section 7).
    """
    if branch.final is None or is_local(branch):
        return False
    status = branch.final.status
    return status in _NO_PAGES or (status in _NOT_THIS and _is_text(branch.forwarding.request))


def wants_session(forwarding: "Forwarding") -> bool:
    """Tell whether every device that has answered takes no MESSAGE, and there is one."""
    told = [branch for branch in forwarding.branches if not branch.pending and not is_not_reached(branch)]
    return bool(told) and all(map(takes_no_pages, told))


def is_in_doubt(forwarding: "Forwarding") -> bool:
    """Tell whether a device may have the message: it was sent, and the device has not refused it."""
    return any(branch.client is not None and (branch.pending or is_local(branch)) for branch in forwarding.branches)


def is_local(branch: "Branch") -> bool:
    """Tell whether a branch ended without the target's word: it timed out, or its connection was lost."""
    return branch.final is not None and is_own(branch.final, branch.forwarding.request)


def outcome(message_id: str, answer: tuple[int, str]) -> Change:
    """Return the change of state that a device's 2xx makes."""
    status, reason = answer
    state = State.UNCONFIRMED if status == _ACCEPTED_BY_ANOTHER else State.DELIVERED
    return Change(id=message_id, version=FIRST_VERSION, state=state, status=status, reason=reason)


def is_not_reached(branch: "Branch") -> bool:
    """Tell whether a branch that has ended says that nobody is there."""
    assert branch.final is not None
    status = branch.final.status
    return status in ABSENT or (status == 503 and is_local(branch))


def _is_text(request: "Request") -> bool:
    return (request.get("content-type") or "text/plain").partition(";")[0].strip().lower() == "text/plain"
