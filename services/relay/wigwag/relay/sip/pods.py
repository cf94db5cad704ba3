"""SIP between the pods of a cluster: a UDP transaction has one owner, a flow is reached wherever it is held.

Theory of operation (DESIGN.md section 5). A datagram is handed to the pod that rendezvous hashing of its branch over
the live pods names, unless its transaction is here already; so retransmissions, CANCEL and ACK meet their transaction
whatever socket they reach. Our Via names the pod that has the client transaction; a response that reaches another one
is passed to it. A request for a connection of another pod goes over the link to that pod and is written there. A link
that is lost, or a connection that is not there any more, ends the transactions that wait on it as a lost connection of
our own does.
"""

import asyncio
import hashlib
import itertools
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

import msgspec
import structlog

from wigwag.errors import ProtocolError
from wigwag.protocols.sip import Request, Response, SipError, parse_datagram
from wigwag.store import Flow as StoredFlow
from wigwag.store import Store

from .authentication.authenticator import pod_tag
from .authentication.nonce_counts import NonceCounts
from .between_pods import Between, CountAsked, CountTold, Delivery, HandedOver, Lost, Passed, decode, encode
from .flows.flow import DatagramFlow, PodFlow, remote_of

if TYPE_CHECKING:
    from wigwag.relay.cluster.links import Links
    from wigwag.runtime.members import Members

    from .edge import Edge
    from .flows.flow import Flow

logger = structlog.get_logger("wigwag.relay.sip")

ANSWER: Final = 1.0
"""Seconds that another pod has to judge a nonce."""


@lru_cache(maxsize=1024)
def _hash_key(pod: str) -> bytes:
    """Return a key that differs for names that differ late only, as those of one deployment do."""
    return hashlib.blake2s(pod.encode()).digest()


class SipPods:
    """The other pods, as SIP sees them; the ``SipGuest`` of the links.

    Args:
        edge: The edge of this pod.
        members: Which pods there are.
        links: How they are reached.
        store: Judges nonces whose pod is gone.
        counts: Counts of the nonces of this pod.
        nonce_lifetime: Seconds for which nonces are valid.
        wall: Seconds since 1970.
        flush: Writes what the links have collected.
    """

    def __init__(
        self,
        edge: "Edge",
        members: "Members",
        links: "Links",
        *,
        store: Store,
        counts: NonceCounts,
        nonce_lifetime: float,
        wall: Callable[[], float],
        flush: Callable[[], None],
    ) -> None:
        self.own = members.pod.id
        self._edge = edge
        self._members = members
        self._links = links
        self._flush = flush
        self._store = store
        self._counts = counts
        self._nonce_lifetime = nonce_lifetime
        self._wall = wall
        self._asked: dict[int, asyncio.Future[bool | None]] = {}
        self._questions = itertools.count(1)
        self._is_passed = False
        """Whether the response at hand comes from another pod."""
        self._flows: WeakValueDictionary[tuple[str, int], PodFlow] = WeakValueDictionary()
        """Connections of other pods for as long as a transaction uses them: nobody tells us when one has ended."""

    def alive(self, pod: str) -> bool:
        """Tell whether a pod lives and may be reached; one that has just started is heard before it is heard of."""
        return (self._members.alive(pod) and self._links.reachable(pod)) or self._links.hears(pod)

    def prepare(self) -> None:
        """Open links to all pods ahead of need; to be called now and then."""
        for pod in self._members.others():
            self._links.prepare(pod.id)

    def reachable(self, pod: str) -> bool:
        """Tell whether something can be sent to the pod, or may be tried."""
        return self._links.reachable(pod)

    def flow(self, wanted: StoredFlow) -> "Flow | None":
        """Return a flow that another pod holds."""
        address = self._edge.addresses.get(wanted.listener)
        if address is None:
            return None
        if wanted.transport == "udp":
            return PodFlow(self, address, wanted.pod, 0, remote_of(wanted))
        key = (wanted.pod, wanted.connection)
        flow = self._flows.get(key)
        if flow is None:
            flow = self._flows[key] = PodFlow(self, address, wanted.pod, wanted.connection, remote_of(wanted))
        return flow

    # Out

    def hand_over(self, message: Request, data: bytes, flow: DatagramFlow) -> bool:
        """Give a datagram to the pod that its transaction belongs to; False: it is this one's."""
        try:
            if not self._members.others() or self._is_known(message):
                return False
            branch = message.via.branch
        except SipError:
            return False  # It is answered as what it is: malformed.
        return self.hand_over_new(branch, data, flow)

    def hand_over_new(self, branch: str, data: bytes, flow: "DatagramFlow") -> bool:
        """Do the same with a request of which no transaction is here."""
        others = self._members.others()
        if not others:
            return False
        owner = self._owner(branch, [pod.id for pod in others])
        # A pod that can't be reached at once would only swallow it; with the same branch everywhere we may do its work.
        if owner == self.own or not self._links.stands(owner):
            return False
        handed = HandedOver(flow.address.name, flow.remote[0], flow.remote[1], data)
        return self._send(owner, handed)

    def _is_known(self, message: Request) -> bool:
        """Tell whether the transaction that the request belongs to is here, whoever would own it by now."""
        transactions = self._edge.transactions
        if message.method in ("ACK", "CANCEL"):
            return transactions.find_invite(message) is not None
        return transactions.find_server(message) is not None

    def _owner(self, branch: str, others: list[str]) -> str:
        data = branch.encode("utf-8", "surrogateescape")
        return max([self.own, *others], key=lambda pod: hashlib.blake2s(data, key=_hash_key(pod)).digest())

    def pass_response(self, response: Response) -> bool:
        """Give a response to the pod that its Via names; False: that is this one, or nobody.

        A pod that died has left its transaction to whoever got the next retransmission of the request; but the peer's
        transaction answers that with the response to the first one, whose Via names the dead pod.
        """
        pod = response.via.parameters.get("pod")
        if not pod or pod == self.own or self._is_passed:
            return False
        passed = Passed(bytes(response))
        if self._links.stands(pod):
            return self._send(pod, passed)
        heirs = [other.id for other in self._members.others() if other.id != pod and self._links.stands(other.id)]
        # All of them are asked, and the pod itself, which may only be new.
        sent = [self._send(each, passed) for each in (pod, *heirs)]
        return any(sent)

    def deliver(self, flow: PodFlow, data: bytes) -> None:
        """Have a pod send something over one of its flows."""
        delivery = Delivery(flow.address.name, flow.connection, flow.remote[0], flow.remote[1], data)
        if not flow.reliable and not self._links.stands(flow.pod):
            # Whoever waits for the link repeats himself in vain if the pod is gone; our socket has the same address.
            self._send_datagram(delivery)
        elif not self._send(flow.pod, delivery) and flow.reliable:
            self._lost(flow.pod, flow.connection)

    def _send(self, pod: str, what: Between) -> bool:
        sent = self._links.send_sip(pod, encode(what))
        self._flush()
        return sent

    # Nonces of UDP

    async def accept(self, issuer: str, nonce: str, nc: int, identity: bytes) -> bool:
        """Take note of a count, at the pod that issued the nonce; in the store when that is gone.

        Raises:
            StoreError: The pod is gone and the store is away.
        """
        for pod in self._members.others():
            if pod_tag(pod.id) == issuer and self._links.reachable(pod.id):
                told = await self._ask(pod.id, nonce, nc, identity)
                if told is not None:
                    return told
        expires_at = self._members.wall() + self._nonce_lifetime
        return await self._store.use_nonce(nonce, nc, expires_at=expires_at, user=identity.hex())

    async def _ask(self, pod: str, nonce: str, nc: int, identity: bytes) -> bool | None:
        number = next(self._questions)
        answer: asyncio.Future[bool | None] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            if not self._send(pod, CountAsked(number, nonce, nc, identity)):
                return None
            async with asyncio.timeout(ANSWER):
                return await answer
        except TimeoutError:
            return None
        finally:
            del self._asked[number]

    def _told(self, number: int, accepted: bool) -> None:
        answer = self._asked.get(number)
        if answer is not None and not answer.done():
            answer.set_result(accepted)

    # In

    def received(self, pod: str, content: bytes) -> None:
        """Another pod has sent something; what can't be read, of another version perhaps, is dropped."""
        try:
            self._received(pod, decode(content))
        except (msgspec.MsgspecError, ProtocolError):
            self._edge.counters["broken"] += 1
        except Exception:
            # A mistake of ours about one message is no reason to end the link, which sessions use too.
            logger.exception("something that another pod sent could not be handled")

    def _received(self, pod: str, what: Between) -> None:
        match what:
            case HandedOver() as handed:
                self._handed_over(pod, handed)
            case Delivery() as delivery:
                self._deliver(pod, delivery)
            case Passed(data=data):
                self._passed(pod, data)
            case Lost(connection=connection):
                self._lost(pod, connection)
            case CountAsked(number=number, nonce=nonce, nc=nc, identity=identity):
                accepted = self._counts.accept(nonce, nc, identity, self._wall())
                self._send(pod, CountTold(number, accepted))
            case CountTold(number=number, accepted=accepted):
                self._told(number, accepted)

    def _passed(self, pod: str, data: bytes) -> None:
        """Take a response that is passed on no further."""
        self._is_passed = True
        try:
            self._edge.message_received(parse_datagram(data), self._nowhere(pod), self._edge.now())
        finally:
            self._is_passed = False

    def _handed_over(self, pod: str, handed: HandedOver) -> None:
        address = self._edge.addresses.get(handed.listener)
        if address is None:
            return
        flow = PodFlow(self, address, pod, 0, (handed.host, handed.port))
        self._edge.message_received(parse_datagram(handed.data), flow, self._edge.now())

    def _deliver(self, pod: str, delivery: Delivery) -> None:
        if not delivery.connection:
            self._send_datagram(delivery)
            return
        flow = self._edge.streams.get(delivery.connection)
        if flow is not None and flow.is_open:
            flow.send(delivery.data)
        else:
            self._send(pod, Lost(delivery.connection))

    def _send_datagram(self, delivery: Delivery) -> None:
        socket = self._edge.sockets.get(delivery.listener)
        if socket is not None:
            socket[0].send(delivery.data, (delivery.host, delivery.port))

    def _nowhere(self, pod: str) -> PodFlow:
        """Return a flow for what needs no answer."""
        return PodFlow(self, next(iter(self._edge.addresses.values())), pod, 0, ("::", 0))

    def link_lost(self, pod: str) -> None:
        """What was sent to the pod may not have arrived."""
        for held, connection in [key for key in self._flows if key[0] == pod]:
            self._lost(held, connection)

    def _lost(self, pod: str, connection: int) -> None:
        flow = self._flows.pop((pod, connection), None)
        if flow is not None:
            self._edge.transactions.wire_lost(flow, "the connection at another pod is lost", self._edge.now())
