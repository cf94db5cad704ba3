"""Counts of the UDP nonces of one pod: each is good once, and again for the retransmission of its own request.

A retransmission is normally absorbed by its transaction. When the pod with the transaction has died, it comes to
another pod with credentials that were used already. To challenge it then would make its sender write the message anew,
and the receiver get it twice; to pass it on is harmless, since its branch is computed and the receiver recognises it.
"""

import hashlib
from collections import deque
from typing import Final

from wigwag.protocols.digest import NonceWindows
from wigwag.protocols.sip import Request

REPEATED: Final = 32.0
"""Seconds within which a request is retransmitted (64*T1)."""
_MOST: Final = 100_000


def identity_of(request: Request) -> bytes:
    """Return what a request has in common with its retransmissions and with nothing else."""
    named = (request.via.branch, request.call_id, str(request.cseq.number), request.method, request.uri)
    head = "\n".join(named).encode("utf-8", "surrogateescape")
    return hashlib.blake2s(head + b"\n" + request.body, digest_size=12).digest()


class NonceCounts:
    """Takes note of counts.

    Args:
        lifetime: Seconds for which nonces are valid.
    """

    def __init__(self, lifetime: float) -> None:
        self._windows = NonceWindows(lifetime)
        self._users: dict[tuple[str, int], bytes] = {}
        self._order: deque[tuple[float, tuple[str, int]]] = deque()

    def accept(self, nonce: str, nc: int, identity: bytes, wall: float) -> bool:
        """Take note of a count; False: another request has used it, or it is too old to tell.

        Args:
            nonce: One of this pod's that is valid, with credentials that were right.
            nc: Its count.
            identity: The request's, as ``identity_of`` tells.
            wall: Seconds since 1970.
        """
        self._forget(wall)
        key = (nonce, nc)
        if self._windows.accept(nonce, nc, wall):
            self._users[key] = identity
            self._order.append((wall + REPEATED, key))
            return True
        return self._users.get(key) == identity

    def _forget(self, wall: float) -> None:
        order = self._order
        while order and (order[0][0] <= wall or len(order) > _MOST):
            self._users.pop(order.popleft()[1], None)
