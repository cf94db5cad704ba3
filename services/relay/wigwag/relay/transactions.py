"""SENDs that the relay has forwarded and whose response it awaits (RFC 4976 sections 6.4.1 and 6.4.3)."""

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from .cluster.arrivals import Arrivals
    from .hop import Hop
    from .route import Route
    from .traced import Traced

Transaction: TypeAlias = "tuple[Route | Arrivals | Traced, bytes, bytes, int, bytes, bool, int]"
"""Route, Message-ID, range-start, octets of body, total, whether silence is a failure (Failure-Report: yes), and the
position in the destination's stream at which the SEND ends. A plain tuple: one is made per message. A SEND that came
over a pod link has its stream in the route's place, and its own transaction identifier in the Message-ID's; around the
one or the other of a traced SEND stands ``Traced``."""


class Relayed(NamedTuple):
    """A request of another method that was forwarded, so that its response finds the way back."""

    origin: "Hop | Arrivals"
    transaction_id: str
    authenticates: bool
    """It is an AUTH that carries credentials: a 401 without stale counts as a failed attempt."""
    sent_at: float
    from_path: bytes
    """From-Path it came with: the way its response goes back."""


def reported_range(transaction: Transaction) -> str:
    """Return the Byte-Range that a REPORT on the SEND carries."""
    _, _, start, octets, total, _, _ = transaction
    first = int(start)
    return f"{first}-{first + octets - 1}/{total.decode()}"
