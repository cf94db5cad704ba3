"""Responses from the next hop (RFC 4976 section 6.4.3)."""

from typing import TYPE_CHECKING

from wigwag.protocols.msrp import ResponseHead

from .cluster.arrivals import Arrivals
from .streaming import SendChunk
from .traced import Traced, concluded
from .transactions import Transaction

if TYPE_CHECKING:
    from .cluster.remote import Remote
    from .hop import Hop
    from .service import Relay


class Responses:
    """Completes transactions, turns refusals into REPORTs, and hands on responses to relayed requests."""

    def __init__(self, relay: "Relay") -> None:
        self._relay = relay

    def handle(self, hop: "Hop | Remote", head: ResponseHead, now: float) -> None:
        """Take a response; one that matches nothing is dropped silently."""
        transaction_id = head.transaction_id.encode()
        transaction = hop.transactions.pop(transaction_id, None)
        if transaction is not None:
            self._conclude(transaction, head)
        elif hop.relayed and transaction_id in hop.relayed:
            self._hand_on(hop, transaction_id, head)
        else:
            self._relay.counters["stray_responses"] += 1

    def _conclude(self, transaction: Transaction, head: ResponseHead) -> None:
        route = transaction[0]
        if head.status_code != 200:
            self.refused(transaction, head.status_code, head.comment or "refused by the next hop")
        elif route.answered is not None:
            route.answered(transaction[1])

    def refused(self, transaction: Transaction, status: int, comment: str) -> None:
        """The next hop refused a SEND: the origin is told at once, and nothing more of the message is forwarded."""
        transaction = concluded(transaction, status, comment)
        route = transaction[0]
        assert not isinstance(route, Traced)
        if isinstance(route, Arrivals):
            route.failed(transaction[1], status, comment, refused=True)
            return
        message_id = transaction[1].decode()
        chunk = route.source.incoming
        if isinstance(chunk, SendChunk) and chunk.belongs_to(route.session, message_id):
            chunk.fail(status, comment)
        elif not route.source.closed:
            self._relay.refuse_message(route.source, route.session, message_id, status, comment)
        self._relay.reports.failure(transaction, status, comment)

    def _hand_on(self, hop: "Hop | Remote", transaction_id: bytes, head: ResponseHead) -> None:
        assert hop.relayed is not None
        relayed = hop.relayed.pop(transaction_id)
        if isinstance(relayed.origin, Arrivals):
            relayed.origin.respond(head)
            return
        to_path = head.raw_to_path.split()
        if not self._relay.issued(head.to_path[0]):
            self._relay.counters["stray_responses"] += 1
            return
        comment = f" {head.comment}" if head.comment else ""
        relayed.origin.reply(
            b"MSRP %b %03d%b\r\nTo-Path: %b\r\nFrom-Path: %b %b\r\n%b-------%b$\r\n"
            % (
                relayed.transaction_id.encode(),
                head.status_code,
                comment.encode(),
                # Kamailio's msrp module addresses the answer to an AUTH to the previous hop alone.
                b" ".join(to_path[1:]) or relayed.from_path,
                to_path[0],
                head.raw_from_path,
                head.raw_fields,
                relayed.transaction_id.encode(),
            )
        )
        if relayed.authenticates and head.status_code == 200:
            self._relay.authenticator.forget_failures(relayed.origin)
        elif relayed.authenticates and head.status_code == 401 and not _is_stale(head):
            self._relay.authenticator.count_failure(relayed.origin)


def _is_stale(head: ResponseHead) -> bool:
    challenge = head.get("WWW-Authenticate") or ""
    return "stale=true" in challenge.lower().replace('"', "").replace(" ", "")
