"""Messages of a session until their outcome is known; sent again under the same identity when a connection was lost."""

from collections.abc import Callable
from dataclasses import dataclass

from wigwag.errors import ConflictError, NotFoundError, WigwagError
from wigwag.protocols.msrp import (
    DeliveryFailed,
    DeliverySucceeded,
    DeliveryUnconfirmed,
    Event,
    MessageAccepted,
    MessageSent,
)

from .causes import settlement_of_failure
from .line import MediaLine
from .media import TRACEPARENT
from .model import OutgoingMessage, Settlement

Settle = Callable[[str, Settlement, int, str], None]
"""Told the Message-ID, what became of it, the MSRP status (0: none) and why."""


@dataclass(slots=True)
class _Unsettled:
    message: OutgoingMessage
    may_have_left: bool = False
    """Whether it was given to a connection at any time."""
    on_its_way: bool = False
    """Whether the present connection has it."""


class Outbox:
    """What is on its way in one session.

    Theory of operation. Messages leave in the order in which they were added, over each connection anew. A connection
    may be up before anybody has said so, and what is added then must not overtake what waits for the word.

    Args:
        settle: Told each outcome, once.
    """

    def __init__(self, settle: Settle) -> None:
        self._settle = settle
        self._unsettled: dict[str, _Unsettled] = {}
        self._waits = False
        """Whether any of them waits for a connection."""

    def __len__(self) -> int:
        """Messages without an outcome."""
        return len(self._unsettled)

    def add(self, message: OutgoingMessage, line: MediaLine | None) -> None:
        """Send a message, at once or when there is a connection.

        Raises:
            ConflictError: A message with this Message-ID is on its way.
        """
        if message.message_id in self._unsettled:
            raise ConflictError(f"a message with the Message-ID {message.message_id} is on its way")
        self._unsettled[message.message_id] = unsettled = _Unsettled(message)
        if line is None or not line.is_up:
            self._waits = True
        elif self._waits:
            self.send_all(line)
        else:
            self._send(unsettled, line)

    def send_all(self, line: MediaLine) -> None:
        """Send what the present connection does not have, in order."""
        self._waits = False
        for unsettled in list(self._unsettled.values()):
            if not unsettled.on_its_way:
                self._send(unsettled, line)

    def connection_lost(self) -> None:
        """Take note that nothing of what was sent will be answered over that connection."""
        self._waits = True
        for unsettled in self._unsettled.values():
            unsettled.on_its_way = False

    def withdraw(self, message_id: str, line: MediaLine | None) -> bool:
        """Send nothing (more) of a message and forget it; False when some of it may have left, or it is settled."""
        unsettled = self._unsettled.pop(message_id, None)
        if unsettled is None:
            return False
        if unsettled.on_its_way and line is not None and line.client is not None and line.session is not None:
            try:
                line.client.abort_message(line.session, message_id)
            except NotFoundError:
                return False
        return not unsettled.may_have_left

    def end(self, reason: str) -> None:
        """Settle everything: the session is over."""
        for message_id, unsettled in list(self._unsettled.items()):
            left = unsettled.may_have_left
            self._settled(message_id, Settlement.UNCONFIRMED if left else Settlement.FAILED, 0, reason)

    def receive(self, event: Event, *, relayed: bool) -> None:
        """Take what the engine says of a message of ours."""
        match event:
            case DeliverySucceeded(message_id=message_id):
                self._settled(message_id, Settlement.DELIVERED, 200, "")
            case MessageAccepted(message_id=message_id) if not relayed:
                self._settled(message_id, Settlement.DELIVERED, 200, "")
            case MessageAccepted(message_id=message_id):
                unsettled = self._unsettled.get(message_id)
                if unsettled is not None and not unsettled.message.success_report:
                    self._settled(message_id, Settlement.UNCONFIRMED, 200, "no report was asked for")
            case DeliveryFailed(message_id=message_id, status=int(status), comment=comment):
                self._failed(message_id, status, comment or "")
            case DeliveryFailed(message_id=message_id) | DeliveryUnconfirmed(message_id=message_id):
                # The connection is lost, or the session ends: it is sent again, or settled by ``end``.
                unsettled = self._unsettled.get(message_id)
                if unsettled is not None:
                    unsettled.on_its_way = False
            case MessageSent():
                pass
            case _:
                pass

    def _failed(self, message_id: str, status: int, comment: str) -> None:
        unsettled = self._unsettled.get(message_id)
        if unsettled is not None:
            settlement = settlement_of_failure(status, may_have_left=unsettled.may_have_left)
            self._settled(message_id, settlement, status, comment)

    def _send(self, unsettled: _Unsettled, line: MediaLine) -> None:
        message, client, session = unsettled.message, line.client, line.session
        if client is None or session is None:
            return
        left_before, unsettled.may_have_left, unsettled.on_its_way = unsettled.may_have_left, True, True
        fields = message.fields
        if message.traceparent and line.carries_traces:
            fields = (*fields, (TRACEPARENT, message.traceparent))
        try:
            client.send_message(
                session,
                message.content_type,
                message.body if isinstance(message.body, bytes) else message.body(),
                total=message.total,
                success_report=message.success_report,
                failure_report=message.failure_report,
                message_id=message.message_id,
                fields=fields,
            )
        except WigwagError as error:
            unsettled.on_its_way = False
            if not isinstance(error, ConflictError):
                settlement = Settlement.UNCONFIRMED if left_before else Settlement.FAILED
                self._settled(message.message_id, settlement, 0, str(error))

    def _settled(self, message_id: str, settlement: Settlement, status: int, reason: str) -> None:
        if self._unsettled.pop(message_id, None) is not None:
            self._settle(message_id, settlement, status, reason)
