"""``python -m tests.support.ua_users PLAN``: SIP users who chat with an application, and record what they see."""

import asyncio
import itertools
import secrets
import time
from collections.abc import Callable, Sequence
from typing import cast

from tests.support.ua_plan import UaPlan, UaStatus, body_of, content_of, digest_of
from tests.support.ua_process import UaProcess, main
from wigwag.errors import ConflictError
from wigwag.protocols.msrp import MsrpUri
from wigwag.protocols.sip.digest import Account, DigestClient
from wigwag.protocols.sip.user_agent import Identity
from wigwag.runtime.ua_recording import ChatEnded, ChatOpened, ChatReceived, ChatRepeated, ChatSent, ChatSettled
from wigwag.transport.addresses import Endpoint as Address
from wigwag.transport.connector import Connector
from wigwag.transport.resolver import Resolver
from wigwag.transport.sip_servers import SipLocation
from wigwag.transport.tls import client_context
from wigwag.ua.endpoint.endpoint import Endpoint
from wigwag.ua.endpoint.media import MediaSide, RelayWay
from wigwag.ua.endpoint.model import (
    CallReceived,
    Ended,
    EndpointEvent,
    EndpointSession,
    MediaWish,
    Opened,
    OutgoingMessage,
    Received,
    Settled,
)
from wigwag.ua.endpoint.sip_side import SipSide

HOST = "127.0.0.1"
_MOST_UNANSWERED = 20


def endpoint_of(
    name: str, plan: UaPlan, told: Callable[[EndpointEvent], None], reached: Callable[[bool], None]
) -> Endpoint:
    """Return the endpoint of a SIP user at the edge and relay of a plan; ``sip.start`` registers him."""
    context = client_context(ca_file=plan.ca_file)
    connector = Connector(Resolver(choose=lambda most: secrets.randbelow(most + 1)), tls=lambda: context)
    way = RelayWay(
        uri=MsrpUri.parse(f"msrps://localhost:{plan.msrp_port};tcp"),
        connector=connector,
        username=name,
        password=plan.password,
        own_host=f"{name}.invalid",
    )
    endpoint = Endpoint(MediaSide({"relay": way}, secrets.token_bytes), secrets.token_bytes, told)
    identity = Identity.of(f"sip:{name}@{plan.domain}", instance=f"urn:x:{name}")
    account = Account(name, plan.password)

    async def locate() -> Sequence[SipLocation]:
        return [SipLocation(transport="TCP", endpoint=Address(HOST, plan.sip_port), server_name=HOST)]

    endpoint.sip = SipSide(
        identity,
        DigestClient(lambda _: account, secrets.token_bytes),
        locate=locate,
        connector=connector,
        random=secrets.token_bytes,
        wall=time.time,
        contact=lambda flow, _: flow.contact(identity.aor),
        on_dialog=endpoint.dialog_event,
        on_change=reached,
    )
    return endpoint


class User:
    """One SIP user: registered, in one chat at most.

    Args:
        name: His name.
        world: What he shares with others.
    """

    def __init__(self, name: str, world: "Users") -> None:
        self.name = name
        self.chat: EndpointSession | None = None
        self.unanswered: set[str] = set()
        self.is_up = False
        self._world = world
        self._sequence = 0
        self._shown: set[str] = set()
        self.endpoint = endpoint_of(name, world.plan, self._told, self._reached)

    def _reached(self, up: bool) -> None:
        self.is_up = up

    async def close(self) -> None:
        """Close his connections."""
        await self.endpoint.close()
        await self.endpoint.sip.close()

    def send(self) -> bool:
        """Send a message, unless too many have no outcome yet; tells whether it did."""
        if self.chat is None or len(self.unanswered) >= _MOST_UNANSWERED:
            return False
        self._sequence += 1
        key = f"{self.name}.{self._sequence}"
        body = body_of(key, self._sequence)
        self._world.record(ChatSent, user=self.name, key=key, sequence=self._sequence, digest=digest_of(body))
        self.unanswered.add(key)
        try:
            self.chat.send(OutgoingMessage(message_id=key, content_type="text/plain", body=body))
        except ConflictError:
            self._settled(key, "failed")
        return True

    def _settled(self, key: str, outcome: str) -> None:
        self.unanswered.discard(key)
        self._world.record(ChatSettled, user=self.name, key=key, outcome=outcome)

    def _told(self, event: EndpointEvent) -> None:
        match event:
            case CallReceived(session=session):
                session.accept(MediaWish())
            case Opened(session=session):
                self.chat = session
                self._world.record(ChatOpened, user=self.name)
            case Ended(cause=cause, reason=reason):
                self.chat = None
                self._world.note(f"{self.name}: the session is over: {cause.value} {reason}")
                self._world.record(ChatEnded, user=self.name, cause=f"{cause.value} {reason}")
            case Received():
                self._received(event)
            case Settled(message_id=key, settlement=settlement):
                self._settled(key, settlement.value)
            case _:
                pass

    def _received(self, event: Received) -> None:
        if not event.body:
            event.accept()
        elif event.message_id in self._shown:
            self._world.record(ChatRepeated, user=self.name, message_id=event.message_id)
        else:
            self._shown.add(event.message_id)
            content = content_of(event.body)
            self._world.record(
                ChatReceived, user=self.name, message_id=event.message_id, key=content.key,
                sequence=content.sequence, digest=digest_of(event.body),
            )  # fmt: skip
        event.accept()


class Users(UaProcess):
    """All users of the process."""

    async def open(self) -> None:
        """Let all register."""
        self.users = [User(name, self) for name in self.plan.clients]
        self._turns = itertools.cycle(self.users)
        for user in self.users:
            await user.endpoint.sip.start()

    async def close(self) -> None:
        """Close connections without a word: nobody ends a session."""
        # Each waits for the answer to its REGISTER.
        await asyncio.gather(*(user.close() for user in self.users))

    def call(self) -> None:
        """Nothing: users are called."""

    def send_one(self) -> bool:
        """Let the next one send that can."""
        return any(next(self._turns).send() for _ in self.users)

    def status(self) -> UaStatus:
        """How it stands."""
        users = cast("list[User]", getattr(self, "users", []))
        return UaStatus(
            clients=len(self.plan.clients),
            ready=sum(user.is_up for user in users),
            sending=self.sending,
            sent=self.sent,
            unanswered=sum(len(user.unanswered) for user in users),
            open=sum(user.chat is not None for user in users),
        )


if __name__ == "__main__":
    main(Users)
