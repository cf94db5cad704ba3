"""The gateway's conversations of a process that is alone; part of ``memory``."""

from collections.abc import Callable, Sequence

from wigwag.errors import OverloadedError

from .conversation_rules import Kept, check_conversation, is_open, is_there, opened, order, page_size, put, stands
from .conversations import Conversation


class MemoryConversations:
    """The port ``Conversations`` without a server.

    Args:
        clock: Wall clock, seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._conversations: dict[str, Kept] = {}
        self._places: dict[str, set[str]] = {}
        """Keys of conversations that are not closed, by the address of either side; expired ones until they are met."""

    async def open_conversation(
        self, wanted: Conversation, *, after: int, most: int, keep: float
    ) -> tuple[Conversation, bool]:
        """See ``Conversations.open_conversation``."""
        check_conversation(wanted)
        now = self._clock()
        kept = self._conversation(wanted.key, now)
        if kept is not None and stands(kept, after, now):
            return kept.conversation, False
        if not is_open(kept, now):
            self._check_room(wanted, most, now)
        return self._write_conversation(opened(kept, wanted, after, keep, now)), True

    async def put_conversation(self, conversation: Conversation, *, keep: float) -> Conversation:
        """See ``Conversations.put_conversation``."""
        check_conversation(conversation)
        now = self._clock()
        kept = self._conversation(conversation.key, now)
        new = put(kept, conversation, keep, now)
        if new is not None:
            return self._write_conversation(new)
        assert kept is not None
        return kept.conversation

    async def find_conversations(self, keys: Sequence[str]) -> dict[str, Conversation]:
        """See ``Conversations.find_conversations``."""
        now = self._clock()
        found = ((key, self._conversation(key, now)) for key in keys)
        return {key: kept.conversation for key, kept in found if kept is not None}

    async def list_conversations(
        self, address: str = "", *, after: str = "", limit: int = 100
    ) -> Sequence[Conversation]:
        """See ``Conversations.list_conversations``."""
        now = self._clock()
        keys = self._places.get(address, set()) if address else self._conversations.keys()
        wanted = sorted((key for key in keys if order(key) > order(after)), key=order)
        found = (self._conversations[key] for key in wanted if is_open(self._conversations[key], now))
        return [kept.conversation for kept, _ in zip(found, range(page_size(limit)), strict=False)]

    def _conversation(self, key: str, now: float) -> Kept | None:
        kept = self._conversations.get(key)
        return kept if is_there(kept, now) else None

    def _check_room(self, wanted: Conversation, most: int, now: float) -> None:
        for address in (wanted.page, wanted.session):
            keys = self._places.get(address, ())
            if sum(is_open(self._conversations[key], now) for key in keys) >= most:
                raise OverloadedError(f"{address} has {most} conversations")

    def _write_conversation(self, kept: Kept) -> Conversation:
        conversation = kept.conversation
        self._free_places(conversation.key)
        self._conversations[conversation.key] = kept
        if conversation.state != "closed":
            for address in (conversation.page, conversation.session):
                self._places.setdefault(address, set()).add(conversation.key)
        return conversation

    def _free_places(self, key: str) -> None:
        kept = self._conversations.get(key)
        for address in (kept.conversation.page, kept.conversation.session) if kept is not None else ():
            places = self._places.get(address, set())
            places.discard(key)
            if not places:
                self._places.pop(address, None)

    def _sweep_conversations(self, now: float) -> None:
        for key in [key for key, kept in self._conversations.items() if not is_there(kept, now)]:
            self._free_places(key)
            del self._conversations[key]
