"""The gateway's conversations on Redis.

Theory of operation. Conversations are spread over ``BUCKETS`` hash tags by their key: a bucket has a record for each,
and the keys of those that are not closed. How many an address has stands under a tag of its own: a place for each, with
the conversation's expiry. No script spans both, so who opens takes the places first, for ``TAKEN`` seconds, then the
conversation by compare and set, and then keeps the places for as long as that lasts. What a pod had taken that died
between comes back by itself. A place belongs to the conversation, not to the caller: who loses to another leaves it.
Each ``put_conversation`` sets the places right, should they have been lost.
"""

from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from typing import Final

from wigwag.errors import OverloadedError, StoreError
from wigwag.store.conversation_rules import check_conversation, order, page_size
from wigwag.store.conversations import Conversation

from .records import bucket_of, conversation_of, conversation_pairs, text, text_of
from .runner import Runner
from .server import Call, Script

BUCKETS: Final = 64
"""Hash tags that conversations are spread over; another number would not find what is there."""
TAKEN: Final = 60.0
"""Seconds for which the place of a conversation is taken that is being opened."""
BATCH: Final = 64
"""Calls in one go."""

_OPEN: Final = Script("open_conversation", "conversations")
_PUT: Final = Script("put_conversation", "conversations")
_FIND: Final = Script("find_conversation", "conversations")
_KEYS: Final = Script("conversation_keys")
_TAKE_PLACE: Final = Script("take_place")
_PUT_PLACE: Final = Script("put_place")
_GIVE_PLACE: Final = Script("give_place")
_PLACES: Final = Script("places")


class RedisConversations(Runner):
    """The port ``Conversations`` on Redis."""

    async def open_conversation(
        self, wanted: Conversation, *, after: int, most: int, keep: float
    ) -> tuple[Conversation, bool]:
        """See ``Conversations.open_conversation``; each of its three steps has the time of an operation."""
        check_conversation(wanted)
        full = await self._take_places(wanted, most)
        if full:
            known = (await self.find_conversations([wanted.key])).get(wanted.key)
            if known is not None and known.state != "closed" and known.generation > after:
                return known, False
            raise OverloadedError(f"{full} has {most} conversations")
        call = self._conversation_call(_OPEN, wanted, str(after), text_of(keep))
        [(is_ours, pairs)] = await self._servers.run([call])
        conversation = conversation_of(wanted.key, pairs)
        if is_ours:
            with suppress(StoreError):  # It is the caller's all the same, and written again when its session is there.
                await self._settle_places(conversation, keep)
        return conversation, bool(is_ours)

    async def put_conversation(self, conversation: Conversation, *, keep: float) -> Conversation:
        """See ``Conversations.put_conversation``; each of its two steps has the time of an operation."""
        check_conversation(conversation)
        [pairs] = await self._servers.run([self._conversation_call(_PUT, conversation, text_of(keep))])
        known = conversation_of(conversation.key, pairs)
        if known == conversation or known.state == "closed":
            await self._settle_places(known, keep)
        return known

    async def find_conversations(self, keys: Sequence[str]) -> dict[str, Conversation]:
        """See ``Conversations.find_conversations``; each batch has the time of an operation."""
        found: dict[str, Conversation] = {}
        for first in range(0, len(keys), BATCH):
            batch = keys[first : first + BATCH]
            answers = await self._servers.run([self._find_conversation_call(key) for key in batch])
            found |= {
                key: conversation_of(key, pairs) for key, pairs in zip(batch, answers, strict=True) if pairs is not None
            }
        return found

    async def list_conversations(
        self, address: str = "", *, after: str = "", limit: int = 100
    ) -> Sequence[Conversation]:
        """See ``Conversations.list_conversations``."""
        page: list[Conversation] = []
        missing = page_size(limit)
        while missing:
            keys = await (self._keys_of(address, after) if address else self._keys_behind(after, missing))
            found = await self.find_conversations(keys[:missing])
            page += [
                found[key]
                for key in keys[:missing]
                if key in found
                and found[key].state != "closed"
                and address in ("", found[key].page, found[key].session)
            ]
            if len(keys) < missing:
                break
            missing, after = page_size(limit) - len(page), keys[missing - 1]
        return page

    async def _keys_behind(self, after: str, most: int) -> list[str]:
        """Return keys of all buckets in order, each bucket's first ``most``."""
        calls = [self._call(_KEYS, (self._keys.conversations(b)[0],), after, str(most)) for b in range(BUCKETS)]
        return sorted(map(text, chain.from_iterable(await self._servers.run(calls))), key=order)

    async def _keys_of(self, address: str, after: str) -> list[str]:
        keys = map(text, await self._run(_PLACES, (self._keys.places(address),)))
        return sorted((key for key in keys if order(key) > order(after)), key=order)

    async def _take_places(self, wanted: Conversation, most: int) -> str:
        """Take a place of each address; return the one that has none, having given back what was taken."""
        addresses = _addresses(wanted)
        arguments = (wanted.key, text_of(TAKEN))
        answers = await self._servers.run(
            [self._call(_TAKE_PLACE, (self._keys.places(address),), *arguments, str(most)) for address in addresses]
        )
        full = [address for address, answer in zip(addresses, answers, strict=True) if answer is None]
        new = [address for address, answer in zip(addresses, answers, strict=True) if answer]
        if full:
            await self._servers.run(
                [self._call(_GIVE_PLACE, (self._keys.places(address),), *arguments) for address in new]
            )
        return full[0] if full else ""

    async def _settle_places(self, conversation: Conversation, keep: float) -> None:
        """Keep the places of a conversation for as long as it is, or give them back when it is closed."""
        script, seconds = (_GIVE_PLACE, "") if conversation.state == "closed" else (_PUT_PLACE, text_of(keep))
        await self._servers.run(
            [
                self._call(script, (self._keys.places(address),), conversation.key, seconds)
                for address in _addresses(conversation)
            ]
        )

    def _conversation_call(self, script: Script, conversation: Conversation, *arguments: str) -> Call:
        key, bucket = conversation.key, bucket_of(conversation.key, BUCKETS)
        keys = self._keys.conversation(bucket, key), *self._keys.conversations(bucket)
        return self._call(script, keys, key, *arguments, *conversation_pairs(conversation))

    def _find_conversation_call(self, key: str) -> Call:
        return self._call(_FIND, (self._keys.conversation(bucket_of(key, BUCKETS), key),))


def _addresses(conversation: Conversation) -> list[str]:
    return list(dict.fromkeys((conversation.page, conversation.session)))
