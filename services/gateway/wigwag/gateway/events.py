"""Tells who watches what happens at the gateway (``wigwag.gateway.events``).

Theory of operation. A change of a conversation is told after the store knows it, and the same change has the same event
id, however often it is told: whoever handles its record again after a kill tells it again. A process remembers what it
has told, so that a session's events without a change of the conversation tell nothing.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from wigwag.api.events.v1.gateway_pb2 import GatewayConversationChanged, GatewaySetupFailed
from wigwag.bus import Bus
from wigwag.runtime.events import GATEWAY_EVENTS, envelope
from wigwag.store.conversations import Conversation

from .metrics import Counters
from .presenting import conversation_message

_REMEMBERED: Final = 20_000


class Events:
    """Publishes.

    Args:
        bus: Where.
        pod: Id of this process.
        wall: Seconds since 1970.
        counters: Counts what is told.
    """

    def __init__(self, bus: Bus, *, pod: str, wall: Callable[[], float], counters: Counters) -> None:
        self._bus = bus
        self._pod = pod
        self._wall = wall
        self._counters = counters
        self._told: OrderedDict[str, None] = OrderedDict()

    async def setup_failed(self, event: GatewaySetupFailed, session_id: str) -> None:
        """Tell that a session could not be set up.

        Args:
            event: What is told.
            session_id: The session: of each it is told once, or the same again.

        Raises:
            BusError: It may not be told; the same again is to be told.
        """
        value = envelope(event, event_id=f"{session_id}:failed", at=self._wall(), pod=self._pod)
        await self._bus.publish(GATEWAY_EVENTS.name, value, key=event.key)
        self._counters.sessions["failed"] += 1

    async def conversation_changed(self, conversation: Conversation) -> None:
        """Tell that a conversation was opened or closed, unless this process has told it.

        Raises:
            BusError: As ``setup_failed``.
        """
        event_id = f"{conversation.key}#{conversation.generation}:{conversation.state}"
        if event_id in self._told:
            return
        event = GatewayConversationChanged(conversation=conversation_message(conversation))
        value = envelope(event, event_id=event_id, at=self._wall(), pod=self._pod, version=conversation.generation)
        await self._bus.publish(GATEWAY_EVENTS.name, value, key=conversation.key)
        self._counters.conversations[conversation.state] += 1
        self._told[event_id] = None
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
