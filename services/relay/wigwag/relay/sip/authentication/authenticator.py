"""Who sent a request: digest for our users, trust for neighbours, nobody else (RFC 3261 section 22).

Theory of operation. A nonce is bound to the connection that it was given over, which keeps its window of counts. Over
UDP it names the pod that issued it: that pod keeps the window, others ask it, and the store when it is gone. What is
stored of a user is remembered for a few seconds, so that a conversation does not cost a look-up per message.
"""

import asyncio
import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from wigwag.errors import WigwagError
from wigwag.protocols.digest import (
    Algorithm,
    Credentials,
    NonceIssuer,
    NonceWindow,
    StoredCredentials,
    issuer_of,
)
from wigwag.protocols.sip import SipError, SipUri, parse_uri
from wigwag.protocols.sip.digest import DigestServer, ProtectionDomain, Role, account_of
from wigwag.protocols.sip.uri import normal_user
from wigwag.relay.sip.flows.flow import Flow, StreamFlow
from wigwag.relay.sip.incoming import Identity, Incoming
from wigwag.relay.sip.ports import Later
from wigwag.runtime.credentials import CredentialSource
from wigwag.store import StoreError
from wigwag.transport.addresses import network_of

from .nonce_counts import NonceCounts, identity_of

if TYPE_CHECKING:
    from wigwag.relay.sip.edge import Edge

_REMEMBERED: Final = 10_000
_REMEMBERED_FOR: Final = 5.0
"""Seconds for which what is stored of a user is not looked up again."""
_WINDOWS_PER_CONNECTION: Final = 4
_LOOK_UP: Final = 5.0
"""Seconds that a look-up may take."""


class Counts(Protocol):
    """Nonces of UDP that other pods issued."""

    async def accept(self, issuer: str, nonce: str, nc: int, identity: bytes) -> bool:
        """Take note of a count, at the pod that issued the nonce, or in the store when that is gone."""


class Authenticator:
    """Authenticates the requests of one edge.

    Args:
        edge: The edge.
        source: Where credentials are looked up.
        nonces: Issues nonces.
        lifetime: Seconds for which they are valid.
        algorithms: Returns what is offered in a realm.
        instance: Names this process in nonces of connections.
        tag: Names it in nonces of UDP.
        wall: Seconds since 1970.
        random: Unpredictable bytes.
    """

    def __init__(
        self,
        edge: "Edge",
        *,
        source: CredentialSource,
        nonces: NonceIssuer,
        lifetime: float,
        algorithms: Callable[[str], tuple[Algorithm, ...]],
        instance: bytes,
        tag: str,
        wall: Callable[[], float],
        random: Callable[[int], bytes],
    ) -> None:
        self._edge = edge
        self._source = source
        self._server = DigestServer(nonces, random)
        self._algorithms = algorithms
        self._instance = instance
        self._tag = tag
        self.counts: Counts | None = None
        """Where counts of nonces that another pod issued are noted; None: there is no other pod."""
        self._wall = wall
        self.nonce_counts = NonceCounts(lifetime)
        """Counts of the UDP nonces of this pod."""
        self._stored: dict[tuple[str, str], tuple[float, StoredCredentials | None]] = {}

    def identify(self, incoming: Incoming) -> "Identity | Later[Identity]":
        """Return the sender of a request that is to be passed on.

        Raises:
            SipError: 407 with challenges, 403; also from the coroutine, and then 503 too.
        """
        if self._edge.is_trusted(incoming.flow):
            return self._edge.neighbours.agents.identify(incoming)
        sender = parse_uri(incoming.request.from_.uri)
        names = self._edge.names
        claimed = isinstance(sender, SipUri) and names.is_claimed(sender)
        admitted = self._edge.neighbours.routing.admit(incoming, ours=claimed)
        if admitted is not None:
            return admitted
        if not isinstance(sender, SipUri) or not names.is_domain(sender):
            raise SipError("Forbidden: not a domain of ours, and no neighbour", status=403)
        return self.authenticate(incoming, Role.PROXY, sender)

    def authenticate(self, incoming: Incoming, role: Role, user: SipUri) -> "Identity | Later[Identity]":
        """Return who sent a request if he is ``user``.

        Args:
            incoming: The request.
            role: 401 or 407.
            user: A URI of one of our domains, which is the realm.

        Raises:
            SipError: As ``identify``.
        """
        domain = self._domain(incoming.flow, role, user.host)
        wall = self._wall()
        credentials = self._server.examine(incoming.request, domain, wall)
        known = self._stored.get(account_of(credentials))
        if known is None or known[0] < wall or not self._is_here(incoming.flow, credentials):
            return self._look_up(incoming, domain, credentials, user)
        return self._prove(incoming, domain, credentials, user, known[1], None)

    def _domain(self, flow: Flow, role: Role, realm: str) -> ProtectionDomain:
        # A nonce that comes back proves that its address can be reached: forged ones get nobody banned.
        binding, issuer = network_of(flow.remote[0]).encode(), self._tag
        if isinstance(flow, StreamFlow):
            binding, issuer = self._instance + b"%d" % flow.connection, ""
        return ProtectionDomain(
            role=role, realm=realm, binding=binding, issuer=issuer, algorithms=self._algorithms(realm)
        )

    async def _look_up(
        self, incoming: Incoming, domain: ProtectionDomain, credentials: Credentials, user: SipUri
    ) -> Identity:
        account = account_of(credentials)
        try:
            async with asyncio.timeout(_LOOK_UP):
                stored = await self._source.credentials(*account)
        except (WigwagError, TimeoutError) as error:
            self._edge.counters["credentials_unavailable"] += 1
            raise SipError("Credentials Are Not Available", status=503, headers=(("Retry-After", "5"),)) from error
        if len(self._stored) >= _REMEMBERED:
            self._stored.clear()
        self._stored[account] = (self._wall() + _REMEMBERED_FOR, stored)
        accepted = None
        if not self._is_here(incoming.flow, credentials):
            assert self.counts is not None
            # Asked before the proof is known to be right would let anybody use up a nonce: it is proven first.
            self._check(incoming, domain, credentials, stored)
            issuer = issuer_of(credentials.nonce)
            identity = identity_of(incoming.request)
            try:
                accepted = await self.counts.accept(issuer, credentials.nonce, credentials.nonce_count, identity)
            except StoreError:
                # Nobody can tell any more; with a nonce of this pod's its user goes on while the store is away.
                accepted = False
        return self._prove(incoming, domain, credentials, user, stored, accepted)

    def _is_here(self, flow: Flow, credentials: Credentials) -> bool:
        """Tell whether the counts of the nonce are noted in this process."""
        return flow.reliable or self.counts is None or issuer_of(credentials.nonce) == self._tag

    def _accept(self, incoming: Incoming, credentials: Credentials) -> bool:
        flow, nonce, nc = incoming.flow, credentials.nonce, credentials.nonce_count
        if isinstance(flow, StreamFlow):
            return _window(flow, nonce).accept(nc)
        return self.nonce_counts.accept(nonce, nc, identity_of(incoming.request), self._wall())

    def _check(
        self,
        incoming: Incoming,
        domain: ProtectionDomain,
        credentials: Credentials,
        stored: StoredCredentials | None,
    ) -> None:
        try:
            self._server.prove(credentials, stored, incoming.request, domain, self._wall())
        except SipError:
            self._edge.counters["auth_failures"] += 1
            self._edge.protection.failed(incoming.flow.remote[0])
            raise

    def _prove(
        self,
        incoming: Incoming,
        domain: ProtectionDomain,
        credentials: Credentials,
        user: SipUri,
        stored: StoredCredentials | None,
        accepted: bool | None,
    ) -> Identity:
        self._check(incoming, domain, credentials, stored)
        if accepted is None:
            accepted = self._accept(incoming, credentials)
        if not accepted:
            self._edge.counters["nonce_replays"] += 1
            raise self._server.replayed(incoming.request, domain, self._wall())
        username, realm = account_of(credentials)
        aor = SipUri("sip", username, None, realm, None).aor
        # A name that holds an escape it does not need is another account's, whose address this can't be.
        if aor != user.aor or normal_user(username) != username:
            raise SipError(f"Forbidden: these are credentials of {username}", status=403)
        self._edge.protection.proven(incoming.flow.remote[0], aor, incoming.request.method)
        self._edge.counters["auth_successes"] += 1
        return Identity(aor=aor, username=username, realm=realm)


def pod_tag(pod: str) -> str:
    """Return the short name of a pod in nonces."""
    return urlsafe_b64encode(hashlib.blake2s(pod.encode(), digest_size=6).digest()).decode("ascii")


def _window(flow: StreamFlow, nonce: str) -> NonceWindow:
    windows = flow.windows
    window = windows.get(nonce)
    if window is None:
        while len(windows) >= _WINDOWS_PER_CONNECTION:
            del windows[next(iter(windows))]
        window = windows[nonce] = NonceWindow()
    return window
