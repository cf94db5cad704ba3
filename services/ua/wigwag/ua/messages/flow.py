"""What one session of this pod has to send, in order, and how far it is."""

import asyncio
import enum
from collections import deque
from dataclasses import dataclass, field

from wigwag.database.ledger import LedgerRow
from wigwag.runtime.ua_messages import SessionFields, fields_of
from wigwag.ua.sessions.ports import OwnedSession

from .spans import Journey
from .staging import Staged


class Stage(enum.Enum):
    """How far a message is."""

    PENDING = "handed to the ledger"
    WAITING = "durable"
    STAGING = "its body is being fetched"
    CLAIMING = "being claimed"
    SENT = "on its way"
    GONE = "no longer ours to send"


@dataclass(slots=True, eq=False, kw_only=True)
class Outgoing:
    """A message without an outcome; times are seconds since 1970."""

    id: str
    content_type: str
    body: bytes | None
    blob: str | None
    fields: SessionFields
    accepted: float
    expires: float
    stage: Stage = Stage.WAITING
    claimed: float = 0.0
    """When our claim began; 0: there is none."""
    attempt: int = 0
    """Of our claim."""
    doubted: bool = False
    """Whether an attempt of another owner may have arrived."""
    postponed: bool = False
    staged: Staged | None = None
    journey: Journey | None = None
    """Its spans, if it is traced."""

    @classmethod
    def of(cls, row: LedgerRow) -> "Outgoing":
        """Return what a row says."""
        return cls(
            id=row.id,
            content_type=row.content_type,
            body=row.body,
            blob=row.blob,
            fields=fields_of(row.headers),
            accepted=row.created,
            expires=row.expires,
            doubted=row.doubts > 0,
        )

    @property
    def size(self) -> int:
        """Octets of the body."""
        return len(self.body or b"") if self.fields.size is None else self.fields.size

    def let_go(self) -> None:
        """Release what it holds."""
        self.stage = Stage.GONE
        if self.staged is not None:
            self.staged.close()
            self.staged = None


@dataclass(slots=True, eq=False)
class Flow:
    """The messages of one session that have no outcome."""

    own: OwnedSession
    queue: deque[Outgoing] = field(default_factory=deque)
    """Not given to the endpoint yet, in order."""
    known: dict[str, Outgoing] = field(default_factory=dict)
    """All of them, by id, those on their way in the order of their sending."""
    flying: int = 0
    """Being claimed, or on their way."""
    unclaimed: int = 0
    """Of the queue: without a claim."""
    claiming: int = 0
    """Of these: being claimed."""
    loaded: bool = False
    """Whether the ledger was asked for what was accepted before, or elsewhere."""
    over: str = ""
    """Why nothing is sent any more."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while bodies are written elsewhere, so that what comes later stays behind."""

    @property
    def waiting(self) -> int:
        """Messages that were not sent."""
        return len(self.queue)

    def add(self, message: Outgoing, *, first: bool = False) -> None:
        """Queue a message, at the end or at the beginning."""
        self.known[message.id] = message
        if first:
            self.queue.appendleft(message)
        else:
            self.queue.append(message)
        if not message.claimed:
            self.unclaimed += 1

    def replace(self, message: Outgoing, by: Outgoing) -> None:
        """Let a message have the place in the queue of one that is the same, as it turned out."""
        place = self.queue.index(message)
        self.forget(message)
        self.add(by)
        self.queue[place] = self.queue.pop()

    def forget(self, message: Outgoing) -> None:
        """Send a message no more; the queue passes over it."""
        if self.known.get(message.id) is message:
            del self.known[message.id]
        if message.stage in (Stage.PENDING, Stage.WAITING, Stage.STAGING) and not message.claimed:
            self.unclaimed -= 1
        message.let_go()

    def load(self, fresh: list[Outgoing], ids: list[str]) -> None:
        """Take up what the ledger has; nothing is sent before.

        What came here meanwhile, from those who accepted it before us or to be accepted, may be among it: the ledger's
        order counts. The rest was accepted later than what it has, and stays in the order in which it came.

        Args:
            fresh: Messages that are not known here, in the ledger's order.
            ids: All that it has, in its order.
        """
        queued = (message for message in self.queue if message.stage is not Stage.GONE)
        waiting = {message.id: message for message in (*fresh, *queued)}
        first = [waiting.pop(message_id) for message_id in ids if message_id in waiting]
        self.queue = deque((*first, *waiting.values()))
        for message in fresh:
            self.known[message.id] = message
        self.unclaimed += sum(not message.claimed for message in fresh)
        self.loaded = True

    def to_front(self, messages: list[Outgoing]) -> None:
        """Queue messages, in this order, before all others."""
        for message in reversed(messages):
            self.known.pop(message.id, None)
            self.add(message, first=True)
