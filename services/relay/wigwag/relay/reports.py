"""Failure REPORTs that the relay sends to a message's origin (RFC 4976 sections 6.4.1 and 6.4.3)."""

from typing import TYPE_CHECKING

from .cluster.arrivals import Arrivals
from .traced import Traced, concluded
from .transactions import Transaction, reported_range

if TYPE_CHECKING:
    from .service import Relay


class Reports:
    """Builds REPORTs and sends them back along the path that the SEND took."""

    def __init__(self, relay: "Relay") -> None:
        self._relay = relay

    def failure(self, transaction: Transaction, status: int, comment: str) -> None:
        """Tell the origin that the SEND's bytes did not arrive, or that nobody knows.

        Nothing is sent when the connection to the origin is lost: its own timer, or the loss itself, tells it.
        """
        relay = self._relay
        transaction = concluded(transaction, status, comment)
        route = transaction[0]
        assert not isinstance(route, Traced)
        if isinstance(route, Arrivals):
            route.failed(transaction[1], status, comment, refused=False)
            return
        route.session.failures += 1
        relay.counters["failed_transactions"] += 1
        origin = route.origin()
        if origin is None:
            return
        transaction_id = relay.next_transaction_id()
        origin.reply(
            b"MSRP %b REPORT\r\n%bMessage-ID: %b\r\nByte-Range: %b\r\nStatus: 000 %03d %b\r\n-------%b$\r\n"
            % (
                transaction_id,
                route.report_paths,
                transaction[1],
                reported_range(transaction).encode(),
                status,
                comment.encode(),
                transaction_id,
            )
        )
        relay.counters["reports_sent"] += 1

    def lost(self, transaction: Transaction, comment: str) -> None:
        """The receiver's connection is lost: report 408, unless another pod sends the SEND again."""
        owner = transaction[0].route if isinstance(transaction[0], Traced) else transaction[0]
        if isinstance(owner, Arrivals) and owner.sent_again:
            concluded(transaction, 408, comment)
            owner.lost_one()
        else:
            self.timed_out(transaction, comment)

    def timed_out(self, transaction: Transaction, comment: str = "no response from the next hop") -> None:
        """Report 408 where silence is a failure, that is with Failure-Report: yes."""
        if transaction[5]:
            self.failure(transaction, 408, comment)
            return
        owner = concluded(transaction, 408, comment)[0]
        if owner.answered is not None:
            owner.answered(transaction[1])
