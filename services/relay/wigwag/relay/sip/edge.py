"""SIP at the edge, without sockets: every message that comes in, and every answer of our own (RFC 3261 section 18).

Theory of operation. A request is first matched with the transactions, so that a retransmission costs nothing and is
never challenged; then `Dispatch` leads it on. A response goes to its client transaction, or to the pod that has it.
"""

from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from ipaddress import ip_address, ip_network
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from wigwag.errors import WigwagError
from wigwag.protocols.sip import (
    PONG,
    KeepAlive,
    Message,
    Request,
    Response,
    SipError,
    parse_datagram,
    validate,
)
from wigwag.protocols.sip.transactions import Transactions, TransactionsFullError
from wigwag.store import Flow as StoredFlow
from wigwag.transport.addresses import network_of

from .authentication.challenges import Challenges
from .config import SipSettings
from .dispatch import ALLOW, Dispatch
from .flows.flow import DatagramFlow, DatagramSender, Flow, PodFlow, SipAddress, StreamFlow, remote_of
from .gateway.devices import Devices
from .incoming import Incoming
from .own_names import OwnNames
from .ports import Neighbours
from .protection.protection import Protection
from .protection.shedding import Shedding
from .proxy.proxy import Proxy
from .proxy.request_shortcut import RequestShortcut
from .proxy.shortcut import pass_response, pass_responses

if TYPE_CHECKING:
    from wigwag.transport.channel import Address

    from .gateway.calls import GatewayCalls
    from .pods import SipPods
    from .registrar.waker import Waker

_KEEP_ALIVES: Final = (b"\r\n\r\n", b"\r\n", b"\x00", b"\x00\x00\x00\x00")
KNOWN_METHODS: Final = tuple(ALLOW.split(", "))
OTHER: Final = "other"
_REMEMBERED: Final = 65_536
T = TypeVar("T")


class Edge:
    """Takes every SIP message of this pod.

    Args:
        settings: Settings of SIP.
        pod: Id of this pod.
        names: What is ours.
        transactions: The transaction layer.
        proxy: Forwards.
        now: Seconds, monotonic.
        spawn: Runs a coroutine beside.
        log: Writes one line.
        protection: What one address and one user may ask.
        secret: Makes To tags of challenges.

    Attributes:
        shedding: Turns requests away under overload and while this pod drains.
        challenges: Sends challenges.
        neighbours: What else is asked; set before anything comes in.
        devices: Knows which devices take MESSAGE, and which sessions.
        gateway: Leads INVITEs to the gateway; set before anything comes in.
        pods: The other pods; None: there can be none.
        dispatch: Leads requests on.
        shortcut: Passes those on that recur.
        waker: Wakes devices; None: no service is configured that could.
        streams: Connections by number.
        counters: What happened, by name.
    """

    def __init__(
        self,
        settings: SipSettings,
        *,
        pod: str,
        names: OwnNames,
        transactions: Transactions,
        proxy: Proxy,
        now: Callable[[], float],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        log: Callable[..., None],
        protection: Protection,
        secret: bytes,
    ) -> None:
        self.settings = settings
        self.protection = protection
        protection.shut_out = self._shut_out
        self.shedding = Shedding(self, settings.overload, spawn)
        self.challenges = Challenges(self, secret)
        self.pod = pod
        self.names = names
        self.transactions = transactions
        self.proxy = proxy
        self.neighbours: Neighbours
        self.devices = Devices(now)
        self.gateway: GatewayCalls
        self.now = now
        self.streams: dict[int, StreamFlow] = {}
        self.held: dict[int, StreamFlow] = {}
        """Connections that are not read for a moment."""
        self.sockets: dict[str, tuple[DatagramSender, SipAddress]] = {}
        """UDP listeners by name."""
        self.addresses: dict[str, SipAddress] = {}
        """All listeners by name."""
        self.pods: SipPods | None = None
        self.waker: Waker | None = None
        self.counters: Counter[str] = Counter()
        self.requests = dict.fromkeys((*KNOWN_METHODS, OTHER), 0)
        """Requests received, by method; what a peer invents counts as ``OTHER``."""
        self.responses = [0] * 8
        """Responses received, by the first digit of their status."""
        self.dispatch = Dispatch(self)
        self.shortcut = RequestShortcut(self)
        self._spawn = spawn
        self._log = log
        self._trusted_networks = tuple(map(ip_network, settings.trusted_networks))
        self._trusted: dict[str, bool] = {}
        self._datagram_flows: dict[tuple[str, Address], DatagramFlow] = {}

    # In

    def datagram_received(
        self, data: bytes, remote: "Address", socket: DatagramSender, address: SipAddress, *, waited: bool = False
    ) -> None:
        """Take a datagram that is no STUN; one that has waited was let in before."""
        if not waited:
            if data in _KEEP_ALIVES or not self.protection.admits(remote[0]):
                return
            if self.shedding.queueing and self.shedding.holds(data, remote, socket, address):
                return
        if address.taps:
            for tap in address.taps:
                tap.datagram(self.flow_to(socket, address, remote), data, incoming=True)
        if data[:9] == b"SIP/2.0 2" and pass_response(self.transactions, data, self.now()):
            self.counters["responses_received"] += 1
            self.responses[2] += 1
            return
        flow = self.flow_to(socket, address, remote)
        if not self.shedding.draining and data[:8] == b"MESSAGE " and self.shortcut.passed(data, flow, self.now()):
            return
        try:
            message = parse_datagram(data)
        except SipError as error:
            self._broken(error, flow)
            return
        if self.shedding.draining and self.shedding.turns_away(message, flow):
            return
        if self.pods is not None and isinstance(message, Request) and self.pods.hand_over(message, data, flow):
            return
        self.message_received(message, flow, self.now())

    def usual_passed(self, flow: StreamFlow, data: bytes) -> bytes:
        """Pass on the usual messages that a read of a stream begins with; returns the rest."""
        if (data[:9] != b"SIP/2.0 2" and data[:8] != b"MESSAGE ") or flow.address.taps:
            return data
        now = flow.heard_at = self.now()
        while True:
            rest, passed = pass_responses(self.transactions, data, now)
            self.counters["responses_received"] += passed
            self.responses[2] += passed
            if rest[:8] == b"MESSAGE " and not self.shedding.active:
                octets = self.shortcut.passed(rest, flow, now)
                if octets:
                    rest = rest[octets:]
                    passed += 1
            if not passed:
                return data
            flow.messages += passed
            data = rest

    def messages_received(
        self, flow: StreamFlow, messages: "Sequence[Request | Response | KeepAlive | SipError]"
    ) -> None:
        """Take what a read of a stream brought."""
        now = flow.heard_at = self.now()
        for message in messages:
            if isinstance(message, Message):
                flow.messages += 1
                if flow.address.taps:
                    for tap in flow.address.taps:
                        tap.stream(flow, bytes(message), incoming=True)
                if self.shedding.active and self.shedding.turns_away(message, flow):
                    continue
                self.message_received(message, flow, now)
            elif isinstance(message, KeepAlive):
                if flow.channel is not None:
                    flow.channel.send([PONG])
            else:
                self._broken(message, flow)
                flow.close(message.reason)
        if messages and not flow.address.trusted:
            pause = self.protection.pause(flow.remote[0], len(messages))
            if pause:
                flow.hold(now + pause)
                self.held[flow.connection] = flow

    def stream_opened(self, flow: StreamFlow) -> None:
        """A connection stands."""
        self.streams[flow.connection] = flow

    def stream_closed(self, flow: StreamFlow, reason: str) -> None:
        """A connection is gone: what waits on it is told."""
        self.streams.pop(flow.connection, None)
        self.held.pop(flow.connection, None)
        if flow.bindings:
            self.neighbours.registering.flow_closed(flow)
        self.transactions.wire_lost(flow, reason, self.now())

    def datagram_failed(self, listener: str, remote: "Address", error: OSError) -> None:
        """The network says that what was sent to an address does not arrive: who waits on the next hop there is told.

        Registered contacts are left to their timers: such a message may be an old one, about an earlier user of it.
        """
        self.counters["datagrams_refused"] += 1
        flow = self._datagram_flows.get((listener, remote))
        if flow is not None:
            self.transactions.wire_lost(flow, str(error), self.now())

    def _shut_out(self, network: str) -> None:
        """Close the connections from a network that was just banned."""
        for flow in list(self.streams.values()):
            if network_of(flow.remote[0]) == network:
                flow.close("banned")

    def release(self, now: float) -> None:
        """Read those connections again whose pause is over."""
        for connection, flow in list(self.held.items()):
            if flow.held_until <= now:
                del self.held[connection]
                flow.release()

    def message_received(self, message: Request | Response, flow: Flow, now: float) -> None:
        """Take one message."""
        try:
            validate(message)
        except SipError as error:
            self._broken(error, flow)
            return
        if isinstance(message, Request):
            self._request_received(message, flow, now)
        else:
            self._response_received(message, now)

    def _response_received(self, response: Response, now: float) -> None:
        self.counters["responses_received"] += 1
        self.responses[response.status // 100] += 1
        if self.transactions.receive_response(response, now) is not None:
            return
        if self.pods is None or not self.pods.pass_response(response):
            self.counters["responses_dropped"] += 1

    def _request_received(self, request: Request, flow: Flow, now: float) -> None:
        self.counters["requests_received"] += 1
        method = request.method
        self.requests[method if method in self.requests else OTHER] += 1
        wire = self.reply_wire(request, flow)
        if request.method == "ACK":
            if not self.transactions.receive_ack(request, now):
                self.guard(Incoming(request, flow, None), self.dispatch.route)
            return
        try:
            server = self.transactions.receive_request(request, wire, now)
        except TransactionsFullError:
            full = SipError("Too Many Transactions", status=503, request=request, headers=_RETRY)
            self.answer_statelessly(full, wire)
            return
        if server is None:
            return
        incoming = Incoming(request, flow, server)
        if request.method == "CANCEL":
            self.dispatch.cancel(incoming, now)
        else:
            self.guard(incoming, self.dispatch.route)

    def reply_wire(self, request: Request, flow: Flow) -> Flow:
        """Note in the Via where the request came from, and return where its response goes (RFC 3581, 18.2)."""
        via = request.via
        host, port = flow.remote
        written = f"[{host}]" if ":" in host else host
        parameters = via.parameters
        if "rport" in parameters:
            parameters["rport"], parameters["received"] = str(port), written.strip("[]")
        elif via.host != written or "received" in parameters:
            parameters["received"] = written.strip("[]")
        else:
            return self._by_sent_by(flow, via.port)
        request.replace_via(via)
        return flow if "rport" in parameters else self._by_sent_by(flow, via.port)

    def _by_sent_by(self, flow: Flow, port: int | None) -> Flow:
        if flow.reliable or flow.remote[1] == (port or 5060):
            return flow
        assert isinstance(flow, DatagramFlow | PodFlow)
        return flow.to((flow.remote[0], port or 5060))

    # Flows

    def flow(self, wanted: StoredFlow) -> Flow | None:
        """Return the flow that the store knows of; None: it is gone."""
        if self.pods is not None and wanted.pod != self.pod:
            if self.pods.alive(wanted.pod):
                return self.pods.flow(wanted)
            if wanted.transport != "udp":
                return None
        if wanted.transport == "udp":
            return self._datagram_flow(wanted)
        return self.streams.get(wanted.connection)

    def _datagram_flow(self, wanted: StoredFlow) -> DatagramFlow | None:
        """Return the flow to an address; all pods of one address send from it, wherever the client's datagrams went."""
        known = self.sockets.get(wanted.listener)
        return self.flow_to(*known, remote_of(wanted)) if known is not None else None

    def flow_to(self, socket: DatagramSender, address: SipAddress, remote: "Address") -> DatagramFlow:
        """Return the one flow between a socket and a peer: finished transactions hold it, which must not cost each."""
        flows = self._datagram_flows
        key = (address.name, remote)
        flow = flows.get(key)
        if flow is None:
            if len(flows) >= _REMEMBERED:
                flows.clear()
            flow = flows[key] = DatagramFlow(socket, address, remote)
        return flow

    # Answers

    def respond(self, incoming: Incoming, status: int, reason: str, fields: "tuple[tuple[str, str], ...]" = ()) -> None:
        """Answer a request ourselves."""
        server = incoming.server
        if server is None or server.final_sent:
            return
        if status in (401, 407):
            self.challenges.send(incoming, server, status, reason, fields)
            return
        response = Response.to_request(incoming.request, status, reason, to_tag=self.proxy.tag(), fields=fields)
        if status >= 300 and incoming.is_strangers_invite:
            # Retransmitted until an ACK comes, it would go on to whoever's address the INVITE was sent with.
            server.respond_once(response)
        else:
            server.respond(response, self.now())

    def guard(self, incoming: Incoming, step: Callable[[Incoming], None]) -> None:
        """Take a step; a ``SipError`` becomes the response, and no other error leaves the request unanswered."""
        try:
            step(incoming)
        except SipError as error:
            self.respond(incoming, error.status or 400, error.reason, error.headers)
        except WigwagError as error:
            self._not_served(incoming, error)
        except Exception:
            self.respond(incoming, 500, "Server Internal Error")
            raise

    def then(
        self, incoming: Incoming, value: "T | Coroutine[Any, Any, T]", go_on: Callable[[Incoming, T], None]
    ) -> None:
        """Go on with what a step has found: now, or when its coroutine has ended."""
        if type(value) is CoroutineType:
            self.later(incoming, cast("Coroutine[Any, Any, T]", value), go_on)
        else:
            go_on(incoming, cast("T", value))

    def later(self, incoming: Incoming, value: "Coroutine[Any, Any, T]", go_on: Callable[[Incoming, T], None]) -> None:
        """Go on with what a step has found when its coroutine has ended."""
        self._spawn(self._finish(incoming, value, go_on))

    async def _finish(
        self, incoming: Incoming, value: "Coroutine[Any, Any, T]", go_on: Callable[[Incoming, T], None]
    ) -> None:
        try:
            go_on(incoming, await value)
        except SipError as error:
            self.respond(incoming, error.status or 400, error.reason, error.headers)
        except WigwagError as error:
            self._not_served(incoming, error)
        except Exception:
            self.respond(incoming, 500, "Server Internal Error")
            raise

    def _not_served(self, incoming: Incoming, error: WigwagError) -> None:
        self._log("a SIP request could not be served", reason=str(error))
        self.respond(incoming, 503, "Service Unavailable", _RETRY)

    def _broken(self, error: SipError, flow: Flow) -> None:
        self.counters["broken"] += 1
        self.answer_statelessly(error, flow)

    def answer_statelessly(self, error: SipError, flow: Flow) -> None:
        """Answer the request of an error, if that is possible, without remembering it."""
        request = error.request
        if request is None or request.method == "ACK" or "via" not in request:
            return
        try:
            wire = self.reply_wire(request, flow)
        except SipError:
            return  # An answer needs to know where to go.
        fields = error.headers
        response = Response.to_request(
            request, error.status or 400, error.reason, to_tag=self.proxy.tag(), fields=fields
        )
        wire.send(bytes(response))

    def is_trusted(self, flow: Flow) -> bool:
        """Tell whether a flow is a neighbour's whose requests need no digest."""
        return flow.address.trusted or self._is_neighbour(flow.remote[0])

    def trusts(self, flow: StoredFlow) -> bool:
        """Tell the same of a flow that the store knows of."""
        address = self.addresses.get(flow.listener)
        return (address is not None and address.trusted) or self._is_neighbour(remote_of(flow)[0])

    def _is_neighbour(self, host: str) -> bool:
        known = self._trusted.get(host)
        if known is None:
            if len(self._trusted) >= _REMEMBERED:
                self._trusted.clear()
            address = ip_address(host)
            # A socket of both families writes IPv4 so.
            address = getattr(address, "ipv4_mapped", None) or address
            known = self._trusted[host] = any(address in network for network in self._trusted_networks)
        return known


_RETRY: Final = (("Retry-After", "5"),)
