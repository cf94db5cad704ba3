"""The transaction layer of one process (RFC 3261 section 17)."""

import sys
from contextlib import ExitStack
from typing import Final

from wigwag.errors import LocalProtocolError
from wigwag.protocols.sip.message import Request, Response

from .client import ClientTransaction, InviteClientTransaction, NonInviteClientTransaction
from .matching import merge_key, server_key
from .registry import Registry
from .server import InviteServerTransaction, NonInviteServerTransaction, ServerTransaction
from .timers import SipTimers
from .users import NOBODY, ClientUser, TransactionsFullError, Wire

_RETIRED_AT_ONCE: Final = 64
"""Finished transactions that make room together."""


class Transactions(Registry):
    """Sans-IO transaction layer: messages and time in, messages out through wires, users called.

    Theory of operation. A request that came goes to ``receive_request``, which absorbs retransmissions; what it
    returns is a new transaction for its user to ``respond`` to. ``send_request`` sends a request of ours;
    ``receive_response`` finds its transaction, which calls its user. Messages must have passed ``validate``. Users
    may call back into the layer at any time. An exception of a user goes through to the caller and leaves all
    machines as they should be. The layer learns what time it is from ``now`` only; ``now`` never goes back.

    Args:
        timers: Durations.
        limit: Server transactions, and client transactions, that there may be; 0: any number. Where there are so many,
            those that have long had their final response make room: they only absorb what comes again, and whoever
            gets such a request by the same branch once more absorbs it, too.
    """

    def __init__(self, timers: SipTimers = SipTimers(), *, limit: int = 0) -> None:  # noqa: B008 - it is frozen
        super().__init__(timers)
        self._limit = limit

    def receive_request(self, request: Request, wire: Wire, now: float) -> ServerTransaction | None:
        """Take a request; return its new transaction, or None: it was absorbed.

        A retransmission is answered with the last response over the wire that it came on, if there was a response.

        Raises:
            TransactionsFullError: The limit is reached: to be answered 503 without a transaction, or not at all.
            LocalProtocolError: An ACK that belongs to no transaction here; ask ``receive_ack`` first.
        """
        method = request.method
        if method == "ACK":
            if not self.receive_ack(request, now):
                raise LocalProtocolError("an ACK of a 2xx makes no transaction")
            return None
        key = server_key(request, method)
        server = self.servers.get(key)
        if server is not None:
            server.receive_again(wire, now)
            return None
        if self._limit and len(self.servers) >= self._limit and not self._has_servers_room(now):
            self.refused += 1
            raise TransactionsFullError("too many server transactions are open")
        made = (InviteServerTransaction if method == "INVITE" else NonInviteServerTransaction)(
            self, key, request, wire, now
        )
        self.servers[key] = made
        self.servers_opened += 1
        made.start()
        return made

    def receive_ack(self, ack: Request, now: float) -> bool:
        """Take an ACK; tells whether it was absorbed here. False: it acknowledges a 2xx and is routed by itself."""
        server = self.servers.get(server_key(ack, "INVITE"))
        return isinstance(server, InviteServerTransaction) and server.receive_ack(ack, now)

    def find_invite(self, cancel: Request) -> ServerTransaction | None:
        """Return the INVITE that a CANCEL is about (section 9.2)."""
        return self.servers.get(server_key(cancel, "INVITE"))

    def find_server(self, request: Request) -> ServerTransaction | None:
        """Return the transaction that a request is a retransmission of."""
        return self.servers.get(server_key(request, request.method))

    def is_merged(self, request: Request) -> bool:
        """Tell whether a request came by another path before and is being answered here as a UAS: 482 (8.2.2.2)."""
        key = merge_key(request)
        other = None if key is None else self.merged.get(key)
        return other is not None and other.key != server_key(request, request.method)

    def send_request(self, request: Request, wire: Wire, user: ClientUser, now: float) -> ClientTransaction:
        """Send a request, whose topmost Via is ours with a branch that no other request has.

        Raises:
            TransactionsFullError: The limit is reached.
            LocalProtocolError: The branch is missing or in use, or the request is an ACK.
        """
        method, branch = request.method, request.via.branch
        if method == "ACK" or not branch or branch in self.clients:
            raise LocalProtocolError("an ACK makes no transaction, and every other request needs a branch of its own")
        if self._limit and len(self.clients) >= self._limit and not self._has_clients_room(now):
            self.refused += 1
            raise TransactionsFullError("too many client transactions are open")
        via, data = (branch, request.via.sent_by), bytes(request)
        if method == "INVITE":
            invite = InviteClientTransaction(self, method, via, data, wire, user, now)
            self.clients[branch] = invite
            invite.start(request)
            return invite
        made = NonInviteClientTransaction(self, sys.intern(method), via, data, wire, user, now)
        self.clients[branch] = made
        made.start()
        return made

    # Requests that are passed on unread

    def has_room(self, key: str, branch: str, now: float) -> bool:
        """Tell whether a request and its copy are new, and allowed by the limit; see ``open_both``."""
        servers, clients, limit = self.servers, self.clients, self._limit
        if key in servers or branch in clients:
            return False
        if not limit or (len(servers) < limit and len(clients) < limit):
            return True
        return self._has_servers_room(now) and self._has_clients_room(now)

    def open_both(
        self, key: str, wire: Wire, method: str, via: tuple[str, str], data: bytes, onward: Wire, now: float
    ) -> tuple[NonInviteServerTransaction, NonInviteClientTransaction]:
        """Open the transactions of a request that is no INVITE and has been written anew already.

        Its user has to be set in both; then the client transaction has to be started.

        Args:
            key: Of the request, as ``server_key`` makes it; there is room for it.
            wire: Where responses go.
            method: Of the request.
            via: Branch and sent-by of our Via.
            data: The request as it goes on.
            onward: Where it goes.
            now: Seconds, monotonic.
        """
        server = self.servers[key] = NonInviteServerTransaction(self, key, None, wire, now)
        self.servers_opened += 1
        server.start()
        client = NonInviteClientTransaction(self, method, via, data, onward, NOBODY, now)
        self.clients[via[0]] = client
        return server, client

    def receive_response(self, response: Response, now: float) -> ClientTransaction | None:
        """Take a response; return the transaction whose user was called if it had to be; None: there is none.

        A response without a transaction, or whose topmost Via is not ours, is to be dropped (RFC 6026 section 6).
        """
        branch, method = response.via.branch, response.cseq.method
        client = (self.cancels if method == "CANCEL" else self.clients).get(branch)
        if client is None or client.method != method or not client.matches(response):
            self.stray_responses += 1
            return None
        client.receive(response, now)
        return client

    def _has_servers_room(self, now: float) -> bool:
        if len(self.servers) >= self._limit:
            self.queues.timer_j.hasten(_RETIRED_AT_ONCE, now)
        return len(self.servers) < self._limit

    def _has_clients_room(self, now: float) -> bool:
        if len(self.clients) >= self._limit:
            self.queues.timer_k.hasten(_RETIRED_AT_ONCE, now)
        return len(self.clients) < self._limit

    def wire_lost(self, wire: Wire, reason: str, now: float) -> None:
        """Hear that a reliable wire is gone: the transactions that wait on it are told."""
        with ExitStack() as each:
            # All of them, also when a user raises; in the order in which they began.
            for transaction in reversed(self.lost(wire)):
                each.callback(transaction.lose_wire, reason, now)

    def next_timeout(self) -> float | None:
        """Return when ``handle_timeout`` has something to do; None: never, as things are."""
        return self.queues.next_timeout()

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""
        self.queues.expire(now)
