"""Messages for page-mode users, by MESSAGE: the edge sends them (``wigwag.pager.outbound``) and says how that ended."""

from collections.abc import Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from wigwag.api.events.v1.pager_pb2 import PagerHeader, PagerMessage, PagerRequest
from wigwag.bus import Bus
from wigwag.database.ledger import State
from wigwag.gateway.kinds import RefusedError, bare, read
from wigwag.gateway.rows import Rows
from wigwag.gateway.splitting import Part
from wigwag.gateway.wrapping import uri_of
from wigwag.protocols.cpim import CPIM_TYPE
from wigwag.protocols.imdn import IMDN_TYPE
from wigwag.runtime.events import PAGER_OUTBOUND, envelope
from wigwag.runtime.names import GATEWAY_FORWARD, LEDGER_ID
from wigwag.runtime.pager_events import attempt_id
from wigwag.runtime.traceparent import as_header
from wigwag.runtime.tracing import SILENT, Span, Tracing

from .decoding import page_message
from .into_session import check_is_current

_NOTIFICATIONS = (CPIM_TYPE, IMDN_TYPE)
_OWN_HEADERS = frozenset(("from", "to", "date", "expires", "call-id", "cseq"))


class ToDevices:
    """Asks the edge.

    Args:
        rows: Of the ledger.
        bus: Where the edge is asked.
        pod: Id of this process.
        tracing: Goes on with the traces of messages.
    """

    def __init__(self, rows: Rows, bus: Bus, *, pod: str, tracing: Tracing) -> None:
        self._rows = rows
        self._bus = bus
        self._pod = pod
        self._tracing = tracing

    def is_passing(self, message: PagerMessage) -> bool:
        """Tell whether a message is only of the moment, so that it is not kept for an absent user."""
        return read(message.content_type, message.body).is_composing

    def is_notification(self, message: PagerMessage) -> bool:
        """Tell whether a message says what became of another one."""
        return bare(message.content_type) in _NOTIFICATIONS and page_message(message).content.is_notification

    async def send(self, message: PagerMessage, bindings: Sequence[str] = (), *, after: str = "") -> str:
        """Have a MESSAGE that was kept sent, as it came: with the Call-ID, CSeq and From tag of its sender.

        Args:
            message: The message.
            bindings: Keys of the devices; empty: all.
            after: Id of the attempt that it must not overtake; empty: there is none.

        Returns:
            Id of the attempt, or ``after`` when there is nothing to be sent any more.

        Raises:
            WigwagError: It may be asked for: the same again is the same.
        """
        if await self._is_outdated(message):
            return after
        row = await self._rows.find(message.message_id)
        attempt = await self._rows.claim_for_page(row) if row is not None else None
        if attempt is None:
            return after
        return await self.repeat(message, attempt, bindings, after=after)

    async def _is_outdated(self, message: PagerMessage) -> bool:
        if not self.is_passing(message):
            return False
        try:
            check_is_current(message, self._rows.now)
        except RefusedError as error:
            await self._rows.settle(message.message_id, State.FAILED, status=error.status, reason=error.reason)
            return True
        return False

    async def repeat(
        self, message: PagerMessage, attempt: int, bindings: Sequence[str] = (), *, after: str = ""
    ) -> str:
        """Ask for an attempt that was claimed, and return its id; the same once more is one MESSAGE."""
        request = PagerRequest(
            message_id=message.message_id,
            attempt=attempt,
            from_uri=uri_of(message.from_aor),
            to_uri=uri_of(message.to_aor),
            identity=message.identity,
            content_type=message.content_type,
            body=message.body,
            headers=[each for each in message.headers if each.name.lower() not in _OWN_HEADERS],
            conversation=message.conversation,
            bindings=bindings,
            call_id=message.call_id,
            cseq=message.cseq,
            from_tag=message.from_tag,
            predecessor=after,
            traceparent=message.traceparent,
        )
        request.expires_at.CopyFrom(message.expires_at)
        return await self._publish(request)

    async def send_parts(
        self,
        parts: Sequence[Part],
        attempt: int,
        *,
        sender: str,
        recipient: str,
        conversation: str,
        expires: float,
        bindings: Sequence[str] = (),
        after: str = "",
        traceparent: str = "",
    ) -> str:
        """Have a message of a session sent, in as many MESSAGEs as it was cut into.

        Returns:
            Id of the attempt with the last part.

        Raises:
            WigwagError: Some may be asked for: the same again is the same.
        """
        until = Timestamp()
        until.FromMicroseconds(round(expires * 1e6))
        for part in parts:
            request = PagerRequest(
                message_id=part.message_id,
                attempt=attempt,
                from_uri=sender,
                to_uri=uri_of(recipient),
                content_type=part.content.content_type,
                body=part.content.body,
                headers=[PagerHeader(name=name, value=value) for name, value in part.content.headers],
                conversation=conversation,
                bindings=bindings,
                predecessor=after,
                traceparent=traceparent,
            )
            request.expires_at.CopyFrom(until)
            after = await self._publish(request)
        return after

    async def _publish(self, request: PagerRequest) -> str:
        event_id = attempt_id(request.message_id, request.attempt)
        with self._span(request) as span:
            request.traceparent = span.traceparent
            value = envelope(request, event_id=event_id, at=self._rows.now, pod=self._pod)
            headers = dict(as_header(span.traceparent))
            await self._bus.publish(PAGER_OUTBOUND.name, value, key=request.conversation, headers=headers)
        return event_id

    def _span(self, request: PagerRequest) -> Span:
        if not request.traceparent:
            return SILENT
        return self._tracing.begin(GATEWAY_FORWARD, request.traceparent, {LEDGER_ID: request.message_id})
