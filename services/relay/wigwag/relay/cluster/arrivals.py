"""What arrives over a pod link for a client or peer of this pod, and how its sender learns what became of it.

Theory of operation. Frames are passed to the connection in order, each *taken* once the connection has room for it;
what is not taken is dropped when the stream closes, and the sender, who has kept it, sends it elsewhere. A transaction
stands in the connection's own table, with the stream in the place of the route: its outcome, also by timer, goes back
over the link.
"""

from collections import deque
from typing import TYPE_CHECKING

from wigwag.protocols.msrp import ResponseHead
from wigwag.relay.traced import Traced
from wigwag.relay.transactions import Relayed
from wigwag.runtime.names import OCTETS, POD, RELAY_DELIVER

from . import frames
from .frames import RELAYED, TIMED, TRACED, TRANSACTION, Data, Ending, Open

if TYPE_CHECKING:
    from wigwag.relay.hop import Hop
    from wigwag.relay.sessions import Session

    from .holder import HolderLink

_SEND = b" SEND\r\n"


class Arrivals:
    """One stream at the pod that holds its receiver.

    Args:
        link: The link it came over.
        opened: How it was opened.
        session: The session.
        hop: The receiver's connection.
    """

    __slots__ = (
        "_answered",
        "_finishing",
        "_outstanding",
        "_taken",
        "_told",
        "_waiting",
        "closed",
        "hop",
        "link",
        "opened",
        "session",
    )

    def __init__(self, link: "HolderLink", opened: Open, session: "Session", hop: "Hop") -> None:
        self.link = link
        self.opened = opened
        self.session = session
        self.hop = hop
        self.closed = False
        self._waiting: deque[Data] = deque()
        self._answered: list[bytes] = []
        self._taken = self._told = self._outstanding = 0
        self._finishing: Ending | None = None

    @property
    def leads_to(self) -> "Session | Hop":
        """The session (toward its client), or the peer's connection: with that the stream ends."""
        return self.session if self.opened.toward is frames.Toward.CLIENT else self.hop

    @property
    def sent_again(self) -> bool:
        """Whether the sender sends once more what a lost connection has not answered: it leads to a ua pod."""
        return self.opened.toward is frames.Toward.CLIENT and bool(self.session.fencing_token)

    # From the sender

    def arrived(self, data: Data, now: float) -> None:
        """Pass one frame on, or keep it until the connection has room; the sender's credit bounds what is kept."""
        if self.closed or self._finishing is not None:
            return
        if self._waiting or self.hop.full:
            self._waiting.append(data)
            self.hop.line_up(self)
        else:
            self._take(data, now)

    def go_on(self, now: float) -> None:
        """The connection has room again."""
        while self._waiting and not self.hop.full and not self.closed:
            self._take(self._waiting.popleft(), now)
        if self._waiting and not self.closed:
            self.hop.line_up(self)

    def _take(self, data: Data, now: float) -> None:
        hop, frame = self.hop, data.frame
        if not hop.outgoing:
            hop.relay.to_flush.append(hop)
        hop.outgoing.append(frame)
        if data.mark & RELAYED:
            origin = Relayed(self, data.transaction_id.decode(), authenticates=False, sent_at=now, from_path=b"")
            hop.relay.expect_response(hop, data.transaction_id, origin)
        elif data.mark & TRANSACTION or frame.startswith(_SEND, 21):
            hop.queued += len(frame)
            self._count(data)
        if data.mark & TRANSACTION:
            timed = bool(data.mark & TIMED)
            owner: Arrivals | Traced = self
            if data.mark & TRACED:
                owner = Traced(
                    self,
                    hop.relay.tracing.begin(RELAY_DELIVER, data.traceparent, {OCTETS: data.octets, POD: self.link.pod}),
                )
            self._outstanding += 1
            hop.transactions[data.transaction_id] = (
                owner, data.transaction_id, b"1", data.octets, b"*", timed, hop.queued
            )  # fmt: skip
        if hop.queued > hop.flush_at:
            hop.flush()
        self._taken += 1
        self.link.touch(self)

    def _count(self, data: Data) -> None:
        if self.opened.toward is frames.Toward.CLIENT:
            self.session.messages_out += 1
            self.session.octets_out += data.octets
        else:
            self.session.messages_in += 1
            self.session.octets_in += data.octets

    # From the receiver; the names are those that a transaction's route has

    def answered(self, transaction_id: bytes) -> None:
        """It was answered 200, or nobody waits for its outcome any more."""
        self._answered.append(transaction_id)
        self.link.touch(self)
        self._ended_one()

    def failed(self, transaction_id: bytes, status: int, comment: str, *, refused: bool) -> None:
        """It was refused, or not answered in time."""
        self.link.send(frames.failed(self.opened.stream, transaction_id, status, comment, refused=refused))
        self._ended_one()

    def lost_one(self) -> None:
        """Its connection is lost; that the sender is to send it again, the end of the stream tells."""
        self._ended_one()

    def _ended_one(self) -> None:
        self._outstanding -= 1
        if self._outstanding:
            return
        if self.closed:
            self._over()
        elif self._finishing is not None:
            self.close(self._finishing)

    def respond(self, head: ResponseHead) -> None:
        """Hand back the response to a relayed request."""
        comment = f" {head.comment}" if head.comment else ""
        transaction_id = head.transaction_id.encode()
        frame = b"MSRP %b %03d%b\r\nTo-Path: %b\r\nFrom-Path: %b\r\n%b-------%b$\r\n" % (
            transaction_id, head.status_code, comment.encode(), head.raw_to_path, head.raw_from_path, head.raw_fields,
            transaction_id,
        )  # fmt: skip
        self.link.send(frames.response(self.opened.stream, frame))

    def tell(self) -> list[bytes]:
        """Return what the sender has to be told of progress, as link frames."""
        told = []
        if self._taken > self._told:
            told.append(frames.taken(self.opened.stream, self._taken))
            self._told = self._taken
        if self._answered:
            told.append(frames.answered(self.opened.stream, self._answered))
            self._answered = []
        return told

    # The end

    def finish(self, ending: Ending) -> None:
        """Pass nothing more on, and close once everything that was passed on has its outcome: nothing overtakes it."""
        self._leave()
        if self._outstanding:
            self._finishing = ending
        else:
            self.close(ending)

    def close(self, ending: Ending, epoch: int = 0, pod: str = "") -> None:
        """Take nothing more: what was not taken goes another way, what was taken has its outcome told, also later."""
        if self.closed:
            return
        self.closed = True
        self._leave()
        self.link.send(*self.tell(), frames.closed(self.opened.stream, ending, self._taken, epoch, pod))
        if not self._outstanding:
            self._over()

    def _over(self) -> None:
        self.link.send(*self.tell())
        self.link.forget(self)

    def abandon(self) -> None:
        """The link is lost: what was taken runs its course here, its sender has given it up."""
        self.closed = True
        self._leave()

    def _leave(self) -> None:
        self._waiting.clear()
        if self.hop.waiting is not None and self in self.hop.waiting:
            self.hop.waiting.remove(self)
