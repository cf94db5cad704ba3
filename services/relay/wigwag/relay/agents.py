"""Our own ua pods on a ``peer`` listener: who they are, and the fencing token of their AUTH (DESIGN.md section 6).

A ua pod that owns a session AUTHs for its URI over mutual TLS, with the header field ``Fencing-Token: <number>``: the
token of its claim. Whoever claims the session later has a higher one, gets the same URI, and the connection of the
former owner is of no more use, whether that owner knows of it or not: an AUTH with a lower token is refused with 403.
"""

from typing import TYPE_CHECKING, Final

from wigwag.protocols.msrp import RequestHead

from .refusal import RefusedError

if TYPE_CHECKING:
    from .hop import Hop
    from .service import Relay

FENCING_TOKEN: Final = "Fencing-Token"  # noqa: S105 - a name
_MOST_DIGITS: Final = 15
"""What a number of Redis' Lua holds exactly; the wall clock in milliseconds has 13."""


def agent_name(relay: "Relay", hop: "Hop") -> str:
    """Return the name by which one of our ua pods has proven itself on a connection; empty: it is none's."""
    listener = relay.listener_of(hop)
    if listener is None or listener.kind != "peer":
        return ""
    names = hop.channel.certificate_names
    return next((name for name in map(str.lower, relay.settings.agents) if name in names), "")


def fencing_token(head: RequestHead) -> int:
    """Return the fencing token of a ua pod's AUTH.

    Raises:
        RefusedError: 400: there is none, or it is no number from 1 to 15 digits.
    """
    text = head.get(FENCING_TOKEN) or ""
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS) or not int(text):
        raise RefusedError(400, f"{FENCING_TOKEN} is missing, or no positive number")
    return int(text)
