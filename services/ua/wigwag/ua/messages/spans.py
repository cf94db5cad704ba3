"""Spans of messages: the way of one from the application's call to the SIP user's REPORT, or the other way.

Theory of operation. The span of acceptance is a child of the API call's. Its traceparent stands in the message's row,
so that whichever pod owns the session goes on with it; the SEND at our own relay carries that of the span of sending,
and what comes from there that of the relay's. Messages without a traceparent cost a look at an empty text.
"""

from wigwag.runtime.grpc_tracing import UNDECIDED, current_span
from wigwag.runtime.names import MESSAGE_ID, OCTETS, STATUS, UA_ACCEPT, UA_DELIVER, UA_RECEIVE, UA_SEND
from wigwag.runtime.tracing import SILENT, Span, Tracing

from .content import Content


class Journey:
    """A traced message of an application on its way to the SIP user.

    Args:
        tracing: Begins spans.
        traceparent: Of its acceptance.
        message_id: Its id.
    """

    __slots__ = ("_delivering", "_message_id", "_sending", "_tracing")

    def __init__(self, tracing: Tracing, traceparent: str, message_id: str) -> None:
        self._tracing = tracing
        self._message_id = message_id
        self._delivering = tracing.begin(UA_DELIVER, traceparent, {MESSAGE_ID: message_id})
        self._sending = SILENT

    def sent(self, octets: int | None) -> str:
        """Begin the span of sending; returns the traceparent that goes with the SEND."""
        self._sending.end(error="sent again")
        self._sending = self._tracing.begin(UA_SEND, self._delivering.traceparent, {MESSAGE_ID: self._message_id})
        if octets is not None:
            self._sending.set(OCTETS, octets)
        return self._sending.traceparent

    def settled(self, status: int, problem: str) -> None:
        """The SIP user's side has told the outcome."""
        self._sending.set(STATUS, status)
        self._sending.end(error=problem)

    def over(self, problem: str = "") -> None:
        """The outcome is in the ledger, or another pod goes on."""
        self._sending.end(error=problem or "no outcome")
        self._delivering.end(error=problem)


class Spans:
    """Begins the spans of the message side.

    Args:
        tracing: Begins spans.
    """

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    def accepting(self, octets: int, traceparent: str = "") -> Span:
        """Begin the span of a message's acceptance, below the call's; a trace may begin here if the call has none.

        Args:
            octets: Of the body.
            traceparent: What the caller says of the message itself; empty: nothing.
        """
        if traceparent:
            return self._tracing.begin(UA_ACCEPT, traceparent, {OCTETS: octets})
        call = current_span()
        if call.traceparent:
            return self._tracing.begin(UA_ACCEPT, call.traceparent, {OCTETS: octets})
        if call is UNDECIDED and self._tracing.sampled():
            return self._tracing.begin(UA_ACCEPT, None, {OCTETS: octets})
        return SILENT

    def journey(self, traceparent: str, message_id: str) -> Journey:
        """Begin the span of a message's delivery."""
        return Journey(self._tracing, traceparent, message_id)

    def receiving(self, traceparent: str, message_id: str, content: Content) -> Span:
        """Begin the span of a message that came."""
        return self._tracing.begin(UA_RECEIVE, traceparent, {MESSAGE_ID: message_id, OCTETS: len(content.body)})
