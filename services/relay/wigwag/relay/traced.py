"""A traced SEND: what stands in the route's place in its transaction, so that its outcome ends its span.

Our own ua pods, on ``peer`` listeners, tell in a header where the trace of a SEND goes on, and are told likewise. From
anybody else the header means nothing, and nobody else gets it.
"""

from typing import TYPE_CHECKING, Final

from wigwag.protocols.msrp import RequestHead
from wigwag.runtime.names import MESSAGE_ID, RELAY_SEND, STATUS
from wigwag.runtime.tracing import SILENT, Span

from .agents import agent_name

if TYPE_CHECKING:
    from .cluster.arrivals import Arrivals
    from .hop import Hop
    from .route import Route
    from .transactions import Transaction

TRACEPARENT: Final = "Traceparent"
"""The header (W3C Trace Context). SENDs that have it are none that the fast path knows."""
_LINE: Final = TRACEPARENT.lower().encode() + b":"


def begun(hop: "Hop", head: RequestHead) -> Span:
    """Return the span of a SEND: it goes on with the trace that a ua pod names, or begins one if it is its turn.

    Args:
        hop: Where it came from.
        head: Its head.
    """
    relay = hop.relay
    parent = head.get(TRACEPARENT)
    if parent is not None and agent_name(relay, hop):
        return relay.tracing.begin(RELAY_SEND, parent, {MESSAGE_ID: head.message_id or ""})
    return relay.tracing.begin(RELAY_SEND, None, {MESSAGE_ID: head.message_id or ""}) if hop.trace_next else SILENT


def fields_onward(head: RequestHead, route: "Route", span: Span) -> bytes:
    """Return the header fields of a SEND as they leave, each with its CRLF: with the trace toward a ua pod only."""
    fields = head.raw_fields
    if head.get(TRACEPARENT) is not None:
        lines = fields.split(b"\r\n")
        fields = b"\r\n".join(line for line in lines if not line.lower().startswith(_LINE))
    if span.recorded and route.to_client and route.exit_session.fencing_token:
        return b"%b: %b\r\n%b" % (TRACEPARENT.encode(), span.traceparent.encode(), fields)
    return fields


class Traced:
    """A route, and the span that ends with the transaction.

    Args:
        route: Where the SEND came from and went.
        span: From its head to its outcome.
    """

    __slots__ = ("route", "span")

    def __init__(self, route: "Route | Arrivals", span: Span) -> None:
        self.route = route
        self.span = span

    def answered(self, transaction_id: bytes) -> None:
        """It was answered 200."""
        end(self.span, 200)
        if self.route.answered is not None:
            self.route.answered(transaction_id)


def end(span: Span, status: int, comment: str = "") -> None:
    """End a span with an MSRP status."""
    span.set(STATUS, status)
    span.end(error="" if status == 200 else f"{status} {comment}")


def concluded(transaction: "Transaction", status: int, comment: str) -> "Transaction":
    """End the span of a transaction that has failed, if it has one; returns the transaction without it."""
    traced = transaction[0]
    if not isinstance(traced, Traced):
        return transaction
    end(traced.span, status, comment)
    return (traced.route, *transaction[1:])
