"""Writes MESSAGEs into the ledger, as many as may wait: no more for one recipient, or of one conversation."""

from collections import Counter
from typing import Final

from wigwag.database.ledger import Ledger, NewMessage
from wigwag.errors import ConflictError
from wigwag.protocols.sip import SipError
from wigwag.relay.sip.config import PagerSettings

_LATER: Final = (("Retry-After", "60"),)


class Keeping:
    """Keeps messages within their limits.

    Args:
        ledger: Where.
        settings: Settings of pager mode.
    """

    def __init__(self, ledger: Ledger, settings: PagerSettings) -> None:
        self._ledger = ledger
        self._settings = settings
        self._messages: Counter[str] = Counter()
        """Messages that are being written, by whose they are: they count too, or a burst would get in as a whole."""
        self._octets: Counter[str] = Counter()
        """Octets of them."""

    async def keep(self, message: NewMessage, *, recipient: str | None = None, conversation: str | None = None) -> None:
        """Return once a message is durable; one that is there already is the same message, come again.

        Args:
            message: The message.
            recipient: Whose messages it is counted among.
            conversation: Else those of which conversation.

        Raises:
            SipError: 480 with Retry-After: too many wait, or too much; 513: it is larger than a row.
            WigwagError: The database does not take it.
        """
        whose, octets = recipient or conversation or "", len(message.body or b"")
        messages, written = self._messages[whose], self._octets[whose]
        self._messages[whose] += 1
        self._octets[whose] += octets
        try:
            is_full = await self._is_full(messages, written + octets, recipient, conversation)
            if is_full and await self._ledger.find(message.id) is None:
                raise SipError("Temporarily Unavailable: too many messages wait", status=480, headers=_LATER)
            await self._ledger.accept_one(message)
        except ConflictError as error:
            raise SipError("Message Too Large", status=513) from error
        finally:
            self._written(whose, octets)

    async def _is_full(self, messages: int, octets: int, recipient: str | None, conversation: str | None) -> bool:
        settings = self._settings
        room = settings.per_user - messages
        if room <= 0:
            return True
        found = await self._ledger.backlog(recipient=recipient, conversation=conversation, most=room)
        return found.messages >= room or found.octets + octets > settings.per_user_bytes

    def _written(self, whose: str, octets: int) -> None:
        self._messages[whose] -= 1
        self._octets[whose] -= octets
        if not self._messages[whose]:
            del self._messages[whose], self._octets[whose]
