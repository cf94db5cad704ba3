"""What this pod knows of conversations: the store's word, and the sessions of ua behind them."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, TypeVar

from google.protobuf.duration_pb2 import Duration

from wigwag.api.ua.v1 import session_pb2, ua_pb2
from wigwag.errors import NotFoundError, ServiceError
from wigwag.gateway.config import GatewaySettings
from wigwag.gateway.ports import Agents
from wigwag.gateway.wrapping import uri_of
from wigwag.protocols.sip import SipError
from wigwag.runtime.agents import GATEWAY
from wigwag.runtime.conversations import AddressTooLongError, canonical_address, conversation_key
from wigwag.store.conversations import Conversation, Conversations

CONVERSATION: Final = "conversation"
"""Label of a session: the conversation's key."""
GENERATION: Final = "generation"
"""Label of a session: the conversation's generation."""
KEEP: Final = 7 * 86_400.0
"""Seconds for which a conversation is remembered beyond a session's longest duration."""
UNHEARD: Final = 10.0
"""Seconds after its end from which nobody waits any more for the news that a session is over."""
_REMEMBERED: Final = 20_000

Session = session_pb2.Session
Value = TypeVar("Value")


class SessionGoneError(ServiceError):
    """The session of a conversation is over, or the user agent knows it no more."""


class Book:
    """Conversations and their sessions.

    Args:
        store: What all pods know.
        agents: Has the sessions.
        settings: Of the gateway.
        wall: Seconds since 1970, by the store's clock.
        tell: Is told of conversations that were opened or closed, once or more; None: nobody is.
    """

    def __init__(
        self,
        store: Conversations,
        agents: Agents,
        settings: GatewaySettings,
        *,
        wall: Callable[[], float],
        tell: Callable[[Conversation], Awaitable[None]] | None = None,
    ) -> None:
        self._store = store
        self._agents = agents
        self._settings = settings
        self._wall = wall
        self._tell = tell
        self._open: OrderedDict[str, tuple[Conversation, Session]] = OrderedDict()
        """Open conversations by key; what is said of one that is over by now is found out when it is used."""
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._over: OrderedDict[str, None] = OrderedDict()

    @property
    def keep(self) -> float:
        """Seconds for which the store keeps a conversation."""
        return KEEP + self._settings.max_duration

    @property
    def known(self) -> int:
        """How many open conversations are remembered here."""
        return len(self._open)

    async def find(self, key: str) -> Conversation | None:
        """Return a conversation, closed or not."""
        known = self._open.get(key)
        if known is not None:
            return known[0]
        return (await self._store.find_conversations([key])).get(key)

    async def begin(self, wanted: Conversation, *, after: int) -> tuple[Conversation, bool]:
        """Begin the next generation, unless another did; returns the one that stands, and whether it is ours.

        Raises:
            OverloadedError: One of both parties has too many.
        """
        most = self._settings.limits.conversations_per_user
        return await self._store.open_conversation(wanted, after=after, most=most, keep=self.keep)

    async def call(self, conversation: Conversation, to_uri: str, request_uri: str) -> Conversation:
        """Call the session-mode side of a conversation that the page-mode side began; once more is the same call.

        Returns:
            The conversation with its session; one of a later generation if there is one by now.
        """
        session = await self._agents.start(
            ua_pb2.StartSessionRequest(
                application=GATEWAY,
                to_uri=uri_of(to_uri),
                from_uri=uri_of(conversation.page),
                labels=labels_of(conversation),
                timeout=Duration(seconds=int(self._settings.ringing)),
                idempotency_key=f"{conversation.key}#{conversation.generation}",
                request_uri=request_uri,
            )
        )
        called = replace(conversation, session_id=session.session_id)
        stands = await self._store.put_conversation(called, keep=self.keep)
        if stands.generation != conversation.generation:
            await self._agents.end(session.session_id)  # Nobody else can: it was not written down.
        return stands

    async def talk(self, conversation: Conversation) -> Session | None:
        """Return the session of a conversation if messages can be sent in it; None: not yet, or its end will be told.

        Raises:
            SessionGoneError: It is over, and nobody will say so.
        """
        known = self._open.get(conversation.key)
        if known is not None and known[0].generation == conversation.generation:
            self._open.move_to_end(conversation.key)
            return known[1]
        if not conversation.session_id:
            return None
        try:
            session = await self._agents.session(conversation.session_id)
        except NotFoundError as error:
            raise SessionGoneError(f"the session {conversation.session_id} is not known any more") from error
        if session.state != session_pb2.SESSION_STATE_OPEN:
            self._check_is_told(session)
            return None
        _put(self._open, conversation.key, (conversation, session))
        return session

    def _check_is_told(self, session: Session) -> None:
        is_over = session.state == session_pb2.SESSION_STATE_ENDED
        if is_over and session.ended_at.ToMicroseconds() / 1e6 + UNHEARD < self._wall():
            raise SessionGoneError(f"the session {session.session_id} is over")

    async def present(self, session_id: str) -> "session_pb2.SessionState":
        """Return the state of a session as it is now: ended, too, if it is not known any more."""
        try:
            return (await self._agents.session(session_id)).state
        except NotFoundError:
            return session_pb2.SESSION_STATE_ENDED

    async def session(self, session_id: str) -> Session:
        """Return a session of the gateway, as it was when it was looked at first.

        Raises:
            NotFoundError: There is none.
        """
        session = self._sessions.get(session_id)
        if session is None:
            session = await self._agents.session(session_id)
            _put(self._sessions, session_id, session)
        return session

    async def opened(self, session: Session) -> Conversation | None:
        """Note that a session is open; returns its conversation, None when it has another session by now."""
        self._sessions.pop(session.session_id, None)
        conversation = await self._of(session)
        if conversation is None or conversation.state == "closed":
            return None
        opened = replace(conversation, session_id=session.session_id, state="open", failures=0)
        stands = await self._store.put_conversation(opened, keep=self.keep)
        if stands.session_id != session.session_id:
            return None
        await self._told(stands)
        return stands

    async def replaced(self, before: Conversation) -> None:
        """End the session that a conversation had until a later generation took its place."""
        self._open.pop(before.key, None)
        if before.session_id and before.state != "closed":
            await self._agents.end(before.session_id)

    async def closed(self, conversation: Conversation, reason: str, *, failed: bool = False) -> Conversation:
        """Note that a conversation's session is over, or could not be had."""
        self._open.pop(conversation.key, None)
        over = replace(
            conversation,
            state="closed",
            reason=_printable(reason),
            closed_at=self._wall(),
            failures=conversation.failures + 1 if failed else 0,
        )
        stands = await self._store.put_conversation(over, keep=self.keep)
        if stands.generation == over.generation:
            await self._told(stands)
        return stands

    async def ended(self, session: Session, reason: str, *, failed: bool) -> Conversation | None:
        """Note that a session is over; returns its conversation, None when it went on with another one."""
        _put(self._over, session.session_id, None)
        conversation = await self._of(session)
        if conversation is None:
            return None
        self._open.pop(conversation.key, None)
        if conversation.state == "closed":
            await self._told(conversation)
            return conversation if conversation.session_id in ("", session.session_id) else None
        if not conversation.session_id:
            conversation = replace(conversation, session_id=session.session_id)
        return await self.closed(conversation, reason, failed=failed)

    def is_over(self, session_id: str) -> bool:
        """Tell whether the end of a session was told here: what is told of its messages comes here, too."""
        return session_id in self._over

    async def try_again(self, conversation: Conversation) -> None:
        """Let a conversation that could not be set up be tried at once: its recipient has registered, or all failed."""
        if conversation.state == "closed" and conversation.failures:
            await self._store.put_conversation(replace(conversation, failures=0), keep=self.keep)

    async def _told(self, conversation: Conversation) -> None:
        if self._tell is not None and conversation.state != "starting":
            await self._tell(conversation)

    async def _of(self, session: Session) -> Conversation | None:
        """Return the conversation whose present generation a session belongs to."""
        key, generation = session.labels.get(CONVERSATION, ""), session.labels.get(GENERATION, "")
        if not key:
            return await self._unanswered(session)
        conversation = (await self._store.find_conversations([key])).get(key)
        if conversation is None:
            # The store came back empty: what the session says is all there is.
            return Conversation(
                key=key,
                page=session.local_uri,
                session=session.remote_uri,
                session_id=session.session_id,
                generation=int(generation) if generation.isdecimal() else 0,
                state="open",
            )
        return conversation if str(conversation.generation) == generation else None

    async def _unanswered(self, session: Session) -> Conversation | None:
        """Return the conversation of a session that came and was not answered: it has no labels yet."""
        try:
            local, remote = canonical_address(session.local_uri), canonical_address(session.remote_uri)
        except (SipError, AddressTooLongError):
            return None
        key = conversation_key(local, remote, GATEWAY)
        conversation = (await self._store.find_conversations([key])).get(key)
        return conversation if conversation is not None and conversation.session_id == session.session_id else None


def labels_of(conversation: Conversation) -> dict[str, str]:
    """Return the labels of a conversation's session."""
    return {CONVERSATION: conversation.key, GENERATION: str(conversation.generation)}


def _put(memory: OrderedDict[str, Value], key: str, value: Value) -> None:
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > _REMEMBERED:
        memory.popitem(last=False)


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)[:255]
