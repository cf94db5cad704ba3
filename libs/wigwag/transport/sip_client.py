"""A SIP client on a real network: messages out and in (RFC 3261, RFC 3428), over a link that looks after itself.

A message whose flow was lost while it was under way is sent again as the same message; whoever has it already says so
(482).
"""

import asyncio
import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from wigwag.protocols.sip import Request, Response
from wigwag.protocols.sip.digest import DigestClient
from wigwag.protocols.sip.user_agent import Event, Identity, MessageReceived, Outcome, UserAgent
from wigwag.transport.connector import Connector
from wigwag.transport.sip_client_options import RegistrationError, SipClientOptions, UnansweredError
from wigwag.transport.sip_link import Locate, SipLink

__all__ = ["Delivery", "RegistrationError", "Sent", "SipClient", "SipClientOptions", "UnansweredError", "deliver"]

ATTEMPTS: Final = 3
"""How often a message is sent at most, each time over another flow."""


class Delivery(enum.Enum):
    """What became of a message."""

    DELIVERED = "delivered"
    """It is at the other user's device."""
    ACCEPTED = "accepted"
    """Somebody keeps it for the other user, or passes it on (RFC 3428 section 7)."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Sent:
    """The end of a message."""

    response: Response
    """The final one."""
    again: bool
    """Whether the message was sent more than once, for want of an answer."""

    @property
    def delivery(self) -> Delivery:
        """What the response means."""
        status = self.response.status
        if status == 202:
            return Delivery.ACCEPTED
        # A 482 to what was sent again says that it is there already.
        delivered = status < 300 or (status == 482 and self.again)
        return Delivery.DELIVERED if delivered else Delivery.REFUSED


class SipClient:
    """One user at one server.

    Args:
        identity: Who the user is.
        digest: Knows the passwords.
        locate: Returns where the server is, the best address first; asked anew before each attempt.
        connector: Opens connections; its TLS context says whom to trust.
        random: Returns so many unpredictable bytes.
        wall: Returns the seconds since 1970.
        on_message: Told of each message that comes; must not block.
        on_change: Told whether the server is reached and has registered us, whenever that changes.
        options: How it behaves.
    """

    def __init__(
        self,
        identity: Identity,
        digest: DigestClient,
        *,
        locate: Locate,
        connector: Connector,
        random: Callable[[int], bytes],
        wall: Callable[[], float],
        on_message: Callable[[MessageReceived], None] = lambda _: None,
        on_change: Callable[[bool], None] = lambda _: None,
        options: SipClientOptions | None = None,
    ) -> None:
        options = options or SipClientOptions()
        self._on_message = on_message
        self._agent = UserAgent(
            identity, digest, random=random, wall=wall, on_event=self._happened, options=options.agent
        )
        self._link = SipLink(
            self._agent,
            locate=locate,
            connector=connector,
            random=random,
            on_lost=digest.forget,
            on_change=on_change,
            options=options,
        )

    async def start(self) -> None:
        """Reach the server and register there, at the first of its addresses that lets us.

        Raises:
            RegistrationError: The registrar refuses.
            TransportError: There is no way to the server.
        """
        await self._link.start()

    async def send_message(
        self, to: str, content_type: str, body: bytes, fields: Sequence[tuple[str, str]] = ()
    ) -> Sent:
        """Send a MESSAGE and wait for its final response.

        Args:
            to: A sip, sips or tel URI.
            content_type: Media type.
            body: The text.
            fields: More header fields.

        Raises:
            SipError: ``to`` is no such URI.
            UnansweredError: No final response came, over no flow.
            RegistrationError: The registrar refuses for good.
            TransportError: There is no connection for a message that is too large for UDP.
        """
        return await deliver(self._agent, self._link, self._agent.messages.request(to, content_type, body, fields))

    async def wait_lost(self) -> None:
        """Wait until there is no hope any more of getting the registration back.

        Raises:
            RegistrationError: The registrar refuses for good.
        """
        await self._link.wait_lost()

    async def close(self) -> None:
        """Unregister if the registrar answers within 4 seconds, and close what is open."""
        await self._link.close()

    def _happened(self, event: Event) -> None:
        if isinstance(event, MessageReceived):
            self._on_message(event)
        else:
            self._link.registration_changed(event)


async def deliver(agent: UserAgent, link: SipLink, message: Request) -> Sent:
    """Send a MESSAGE over a link and wait for its final response; see ``SipClient.send_message``.

    Args:
        agent: Who made the message; the link drives it.
        link: The way.
        message: The same again when what became of it before is not known.
    """
    for attempt in range(ATTEMPTS):
        outcome = await _attempt(agent, link, message)
        if isinstance(outcome, Response):
            if outcome.status != 503 or not link.leave_location():
                return Sent(outcome, again=attempt > 0)
        elif outcome.timed_out:
            raise UnansweredError(outcome.reason)
    if isinstance(outcome, Response):
        return Sent(outcome, again=True)
    raise UnansweredError(outcome.reason)


async def _attempt(agent: UserAgent, link: SipLink, message: Request) -> Outcome:
    flow = await link.flow_for(message)
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[Outcome] = loop.create_future()

    def done(_: Request, outcome: Outcome, now: float) -> None:
        if not ended.done():
            ended.set_result(outcome)

    agent.messages.send(message, flow, done, loop.time())
    link.wake()
    return await ended
