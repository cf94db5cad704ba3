"""What was sent to a ua pod and has no answer yet: if the pod is lost, the session's next owner gets it again.

Theory of operation. A message of which nobody knows whether it arrived may be sent again when its receiver can tell: a
ua pod looks each Message-ID up in the ledger (DESIGN.md section 6). So the SENDs of a ua pod's connection, or of the
stream to the pod that has it, are kept by reference until they are answered, in the order they left; what has been
answered is let go of at the next look, from the front. When the connection is lost, or a later claim has another, they
go back to where the session's frames are held, before everything else, and leave again with the same identifiers.
"""

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .destination import Holding
from .route import Route
from .traced import Traced

if TYPE_CHECKING:
    from .sessions import Session
    from .transactions import Transaction

LARGEST = 65_536
"""Octets kept for one connection or stream; what is beyond is reported 408 when its receiver is lost."""
LARGEST_OF_ALL = 67_108_864
"""Octets kept for all of them."""

_SEND = b" SEND\r\n"
_Message = tuple[bytes, bytes]


class Room:
    """What all connections and streams may keep together.

    Attributes:
        left: Octets that may still be kept.
        taken_back: SENDs that were taken back to be sent again.
    """

    __slots__ = ("left", "taken_back")

    def __init__(self, octets: int = LARGEST_OF_ALL) -> None:
        self.left = octets
        self.taken_back = 0


class Unanswered:
    """The SENDs of one connection or stream that have been written and are not answered.

    Args:
        room: Shared with the others.
    """

    __slots__ = ("_frames", "_octets", "_room")

    def __init__(self, room: Room) -> None:
        self._room = room
        self._frames: deque[bytes] = deque()
        self._octets = 0

    @property
    def octets(self) -> int:
        """Octets of the frames that are kept."""
        return self._octets

    def keep(self, frames: Iterable[bytes], transactions: "dict[bytes, Transaction]") -> None:
        """Keep those frames that are SENDs of this pod's and await their answer, as long as there is room."""
        self.release(transactions)
        kept, octets, most = self._frames, 0, min(LARGEST - self._octets, self._room.left)
        for frame in frames:
            transaction = transactions.get(frame[5:21])
            if transaction is None or octets >= most or not frame.startswith(_SEND, 21):
                continue
            if type(transaction[0]) is Route or route_of(transaction) is not None:
                kept.append(frame)
                octets += len(frame)
        self._count(octets)

    def release(self, transactions: "dict[bytes, Transaction]") -> None:
        """Let go of what has been answered; receivers answer in order."""
        frames, octets = self._frames, 0
        while frames and frames[0][5:21] not in transactions:
            octets += len(frames.popleft())
        if octets:
            self._count(-octets)

    def clear(self) -> None:
        """Let go of everything."""
        self._frames.clear()
        self._count(-self._octets)

    def _count(self, octets: int) -> None:
        self._octets += octets
        self._room.left -= octets

    def take_back(self, transactions: "dict[bytes, Transaction]", session: "Session | None" = None) -> Holding:
        """Take out what is to be sent again to the client of a session (None: of any), with its transactions.

        A chunk whose message began with octets that were answered stays out: only the lost owner had its beginning.
        """
        back, begun = Holding(), dict[_Message, int]()
        frames = {frame[5:21]: frame for frame in self._frames}
        for transaction_id, transaction in list(transactions.items()):
            route = route_of(transaction)
            if route is None or not route.to_client or (session or route.exit_session) is not route.exit_session:
                continue
            frame = frames.get(transaction_id)
            if _goes_again(transaction, route, begun, kept=frame is not None) and frame is not None:
                del transactions[transaction_id]
                back.put(frame, transaction)
        back.returned = back.queued
        self._room.taken_back += len(back.transactions)
        self.release(transactions)
        return back


def _goes_again(transaction: "Transaction", route: Route, begun: dict[_Message, int], *, kept: bool) -> bool:
    """Tell whether a chunk is kept, and follows what goes again of its message; ``begun`` holds the next octets."""
    message, start, octets = (route.report_paths, transaction[1]), int(transaction[2]), transaction[3]
    following = begun.pop(message, 1)
    if not kept or start > following:
        return False
    begun[message] = max(following, start + octets)
    return True


def route_of(transaction: "Transaction") -> Route | None:
    """Return the route of a transaction of this pod's; None: another pod answers for it."""
    owner = transaction[0]
    if isinstance(owner, Traced):
        owner = owner.route
    return owner if isinstance(owner, Route) else None
