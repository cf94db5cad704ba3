"""``python -m tests.support.talk_users PLAN``: SIP users in session mode who talk with page-mode users, and record it.

They take the calls that the gateway makes, and call themselves; some are busy or decline now and then, some hang up.
"""

import itertools
import secrets
import time
from typing import Final

from tests.support.page_users import peer_of
from tests.support.ua_plan import UaStatus, body_of, content_of, digest_of
from tests.support.ua_process import UaProcess, main
from tests.support.ua_users import endpoint_of
from wigwag.errors import ConflictError
from wigwag.runtime.message_recording import TalkReceived, TalkRepeated, TalkSent, TalkSettled
from wigwag.ua.endpoint.model import (
    CallReceived,
    Ended,
    EndpointEvent,
    EndpointSession,
    MediaWish,
    Opened,
    OutgoingCall,
    OutgoingMessage,
    Received,
    Settled,
)

_MOST_UNANSWERED: Final = 10
_PAUSE: Final = 1.0
"""Seconds between two calls of a user."""
_HANGS_UP: Final = 40
"""Messages that a user who hangs up sends in a session."""
_TYPES: Final = ("message/cpim", "text/plain")


class TalkUser:
    """One user.

    Args:
        name: His name.
        number: Which he is: some are busy, some decline, some hang up.
        world: What he shares with others.
    """

    def __init__(self, name: str, number: int, world: "TalkUsers") -> None:
        self.name = name
        self.peer = peer_of(name)
        self.unanswered: set[str] = set()
        self.is_up = False
        self.chat: EndpointSession | None = None
        self._refusal = {1: (486, "Busy Here"), 3: (603, "Decline")}.get(number % 6)
        self._hangs_up = number % 6 == 4
        self._world = world
        self._sequence = self._calls = self._said = 0
        self._next_call = 0.0
        self._shown: dict[str, str] = {}
        """Message-ID -> key."""
        self.endpoint = endpoint_of(name, world.plan, self._told, self._reached)

    def _reached(self, up: bool) -> None:
        self.is_up = up

    def send(self) -> bool:
        """Send a message, or call if there is no session; tells whether a message was sent."""
        if self.chat is None:
            self._call()
            return False
        if len(self.unanswered) >= _MOST_UNANSWERED:
            return False
        self._sequence += 1
        key = f"{self.name}.{self._sequence}"
        body = body_of(key, self._sequence)
        self._world.record(
            TalkSent,
            user=self.name,
            to=self.peer,
            key=key,
            sequence=self._sequence,
            digest=digest_of(body),
            session=self.chat.id,
        )
        self.unanswered.add(key)
        try:
            self.chat.send(OutgoingMessage(message_id=key, content_type="text/plain", body=body))
        except ConflictError:
            self._settled(key, "failed", 0)
        self._said += 1
        if self._hangs_up and self._said % _HANGS_UP == 0:
            self.chat.end()
        return True

    def _call(self) -> None:
        now = time.monotonic()
        if now < self._next_call or not self.is_up:
            return
        self._next_call = now + _PAUSE
        domain = self._world.plan.domain
        call = OutgoingCall(
            session_id=secrets.token_hex(8),
            from_uri=f"sip:{self.name}@{domain}",
            to_uri=f"sip:{self.peer}@{domain}",
            media=MediaWish(accept_types=_TYPES),
            timeout=10.0,
        )
        self.endpoint.start(call)

    def _settled(self, key: str, outcome: str, status: int) -> None:
        if key in self.unanswered:
            self.unanswered.discard(key)
            self._world.record(TalkSettled, user=self.name, key=key, outcome=outcome, status=status)

    def _told(self, event: EndpointEvent) -> None:
        match event:
            case CallReceived(session=session):
                self._calls += 1
                if self._refusal is not None and self._calls % 3 == 1 and self._world.sending:
                    session.reject(*self._refusal)
                else:
                    session.accept(MediaWish(accept_types=_TYPES))
            case Opened(session=session):
                self.chat = session
            case Ended(session=session, cause=cause, reason=reason):
                self._world.note(f"{self.name}: a session is over: {cause.value} {event.status} {reason}")
                if self.chat is session:
                    self.chat = None
                self._next_call = time.monotonic() + _PAUSE
            case Received():
                self._received(event)
            case Settled(message_id=key, settlement=settlement):
                self._settled(key, settlement.value, event.status)
            case _:
                pass

    def _received(self, event: Received) -> None:
        if event.body and event.message_id in self._shown:
            self._world.record(TalkRepeated, user=self.name, key=self._shown[event.message_id])
        elif event.body:
            content = content_of(event.body)
            self._shown[event.message_id] = content.key
            self._world.record(
                TalkReceived, user=self.name, key=content.key, sequence=content.sequence, digest=digest_of(event.body)
            )
        event.accept()


class TalkUsers(UaProcess):
    """All users of the process."""

    async def open(self) -> None:
        """Let all register."""
        self.users = [TalkUser(name, number, self) for number, name in enumerate(self.plan.clients)]
        self._turns = itertools.cycle(self.users)
        for user in self.users:
            await user.endpoint.sip.start()

    async def close(self) -> None:
        """Close connections without a word."""
        for user in self.users:
            await user.endpoint.close()
            await user.endpoint.sip.close()

    def call(self) -> None:
        """Nothing: they call when they have something to say."""

    def send_one(self) -> bool:
        """Let the next one send that can."""
        return any(next(self._turns).send() for _ in self.users)

    def status(self) -> UaStatus:
        """How it stands."""
        users: list[TalkUser] = getattr(self, "users", [])
        return UaStatus(
            clients=len(self.plan.clients),
            ready=sum(user.is_up for user in users),
            sending=self.sending,
            sent=self.sent,
            unanswered=sum(len(user.unanswered) for user in users),
            open=sum(user.chat is not None for user in users),
        )


if __name__ == "__main__":
    main(TalkUsers)
