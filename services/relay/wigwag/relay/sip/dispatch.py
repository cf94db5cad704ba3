"""The way of a request through the edge: rules, routes, who sent it, where it goes (RFC 3261 sections 16.3 to 16.6).

Each step answers at once when what it needs is at hand, else it goes on in a coroutine; what it raises as ``SipError``
becomes the response.
"""

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Final

from wigwag.protocols.sip import Response, SipError, SipUri, parse_name_address, parse_uri
from wigwag.protocols.sip.transactions import NOBODY
from wigwag.protocols.sip.transactions.users import Nobody
from wigwag.runtime.agents import GATEWAY, SERVICE
from wigwag.store import Registration

from .flows.flow import same_peer, stored
from .incoming import Identity, Incoming, Target
from .pager.answers import PATIENCE
from .ports import Decision, Later
from .proxy.branches import goes_round, loop_hash
from .proxy.forwarding import Fallback, Forwarding
from .proxy.passage import Keeper
from .proxy.proxy import NO_DIALOG
from .proxy.record_routes import PATH, Routed, flow_route, near, peer
from .proxy.targets import Groups, dialog_targets, next_hop_targets, registered_targets
from .registrar.waker import WAKING

if TYPE_CHECKING:
    from .edge import Edge

ALLOW: Final = (
    "INVITE, ACK, CANCEL, BYE, REGISTER, OPTIONS, MESSAGE, SUBSCRIBE, NOTIFY, REFER, PRACK, UPDATE, INFO, PUBLISH"
)
"""Methods that are known by name; others pass too."""

_CONTACTS_REMEMBERED: Final = 65_536
_IDENTIFIED: Final = Nobody()
"""The user of an INVITE whose sender is known, until it goes on."""


class Dispatch:
    """Leads requests of one edge."""

    def __init__(self, edge: "Edge") -> None:
        self._edge = edge
        self._contacts: dict[str, tuple[Registration, Target]] = {}
        """By AOR: the only contact of a registration, reached by a flow of this pod."""

    # Rules that hold for everybody (section 16.3), and what is for the edge itself

    def route(self, incoming: Incoming) -> None:
        """Lead a new request, or an ACK that has no transaction.

        Raises:
            SipError: It is refused.
        """
        request = incoming.request
        self._take_routes(incoming)
        for_us = incoming.routed is None and not incoming.target.user and self._edge.names.is_ours(incoming.target)
        if request.max_forwards == 0 and not for_us:
            raise SipError("Too Many Hops", status=483)
        if request.names.count("via") > 1 and goes_round(request, self._edge.names.sent_by, loop_hash(request)):
            raise SipError("Loop Detected", status=482)
        if "proxy-require" in request.names:
            wanted = ", ".join(request.items("proxy-require"))
            raise SipError("Bad Extension", status=420, headers=(("Unsupported", wanted),))
        if incoming.in_dialog or incoming.by_path:
            self._find_other_end(incoming)
        elif request.method == "REGISTER" and self._edge.names.is_domain(incoming.target):
            self._edge.then(incoming, self._edge.neighbours.registering.register(incoming), _nothing)
        elif self._edge.names.is_agents(incoming.target):
            self._for_agents(incoming)
        elif for_us and "route" not in request:
            self._answer_for_us(incoming)
        else:
            self._edge.then(incoming, self._edge.neighbours.authentication.identify(incoming), self._identified)

    def _take_routes(self, incoming: Incoming) -> None:
        """Take off the routes that lead to us; the last one says where an in-dialog request goes (section 16.4)."""
        request = incoming.request
        while "route" in request.names:
            routes = request.items("route")
            if not routes:
                raise SipError("Route is empty")
            uri = parse_uri(parse_name_address(routes[0]).uri)
            if not isinstance(uri, SipUri) or not self._edge.names.is_address(uri):
                return
            request.pop_item("route")
            self._read_route(incoming, uri.user)

    def _read_route(self, incoming: Incoming, token: str) -> None:
        incoming.routed, incoming.by_path = None, False
        if not token:
            return
        routes = self._edge.proxy.routes
        incoming.routed = routes.read(token, incoming.request.call_id)
        if incoming.routed is None and incoming.request.to.tag is None:
            incoming.routed = routes.read(token, PATH)
            incoming.by_path = incoming.routed is not None

    def _answer_for_us(self, incoming: Incoming) -> None:
        if incoming.request.method == "OPTIONS":
            self._edge.respond(
                incoming, 200, "OK", (("Allow", ALLOW), ("Accept", "*/*"), ("Supported", "path, outbound"))
            )
        else:
            raise SipError("Not Found", status=404)

    def cancel(self, incoming: Incoming, now: float) -> None:
        """Answer a CANCEL, and call off what it means (section 16.10)."""
        invite = self._edge.transactions.find_invite(incoming.request)
        if invite is None:
            self._edge.respond(incoming, 481, "Call/Transaction Does Not Exist")
            return
        self._edge.respond(incoming, 200, "OK")
        if invite.final_sent:
            return
        if isinstance(invite.user, Forwarding):
            invite.user.cancel(now)
        else:
            response = Response.to_request(invite.request, 487, "Request Terminated", to_tag=self._edge.proxy.tag())
            if invite.user is not _IDENTIFIED and not invite.wire.reliable:
                # Retransmitted until an ACK comes, it would go on to whoever's address the INVITE was sent with.
                invite.respond_once(response)
                return
            invite.user = NOBODY
            invite.respond(response, now)

    # Where it goes

    def _for_agents(self, incoming: Incoming) -> None:
        """Lead what is for a session of the user agent, or its pods: nobody outside knows of them."""
        if incoming.request.method == "REGISTER":
            self._edge.then(incoming, self._edge.neighbours.registering.register(incoming), _nothing)
        elif not self._edge.is_trusted(incoming.flow):
            raise SipError("Not Found", status=404)
        else:
            self._note_sender(incoming, self._edge.neighbours.agents.identify(incoming))
            self._to_session(incoming)

    def _to_session(self, incoming: Incoming) -> None:
        self._edge.then(incoming, self._edge.neighbours.agents.of_session(incoming), self._forward)

    def _identified(self, incoming: Incoming, identity: Identity) -> None:
        self._note_sender(incoming, identity)
        self._edge.then(incoming, self._edge.neighbours.routing.decide(incoming), self._decided)

    def _note_sender(self, incoming: Incoming, identity: Identity) -> None:
        incoming.identity = identity
        request = incoming.request
        if request.method == "INVITE" and incoming.server is not None:
            incoming.server.user = _IDENTIFIED
            incoming.server.respond(Response.to_request(request, 100, "Trying"), self._edge.now())
            incoming.past_gateway = identity.trusted and self._edge.neighbours.agents.is_pod(incoming.flow)

    def _decided(self, incoming: Incoming, decision: Decision) -> None:
        if decision.uri:
            incoming.retarget(decision.uri)
        if decision.answer == "delivery":
            incoming.waits_until = self._edge.now() + PATIENCE * self._edge.settings.timers.t1
        if self._is_for_application(incoming, decision):
            self._to_application(incoming, decision)
        elif decision.action == "service":
            self._edge.then(incoming, self._edge.neighbours.services.accept(incoming, decision.service), _nothing)
        elif decision.action == "location" or (
            decision.action == "default" and self._edge.names.is_domain(incoming.target)
        ):
            self._find_user(incoming)
        else:
            self._go_outside(incoming, decision)

    def _is_for_application(self, incoming: Incoming, decision: Decision) -> bool:
        """Tell whether a request is a call to an application: a row says so, or no row matches and it owns the URI."""
        if incoming.request.method in ("MESSAGE", "REGISTER"):
            return False
        if decision.action == "service":
            is_call = incoming.request.method == "INVITE"
            return decision.service == SERVICE or (decision.service == GATEWAY and is_call)
        return decision.action == "default" and self._edge.neighbours.agents.serves(incoming.target)

    def _to_application(self, incoming: Incoming, decision: Decision) -> None:
        if "route" in incoming.request.names:
            raise SipError("Route to elsewhere", status=403)
        uri = decision.uri or incoming.request.uri
        application = GATEWAY if decision.service == GATEWAY else ""
        self._edge.then(incoming, self._edge.neighbours.agents.of_call(incoming, uri, application), self._forward)

    def _go_outside(self, incoming: Incoming, decision: Decision) -> None:
        if decision.action == "default" and not incoming.identity.aor:
            # Neighbours and strangers may reach our users, not the world through us.
            raise SipError("Relaying Denied", status=403)
        if decision.action == "default" and incoming.request.method == "REGISTER":
            raise SipError("Forbidden: not a domain of ours", status=403)
        if "route" in incoming.request and (decision.action == "default" or decision.next_hops):
            # A route chosen by the sender would lead past ours.
            raise SipError("Route to elsewhere", status=403)
        self._forward(incoming, next_hop_targets(incoming, decision))

    def _find_user(self, incoming: Incoming) -> None:
        if incoming.target.scheme == "tel":
            raise SipError("Unsupported URI Scheme: no route for telephone numbers", status=416)
        if "route" in incoming.request.names:
            raise SipError("Route to elsewhere", status=403)
        aor = incoming.target.aor
        check = self._edge.neighbours.screening.check(incoming, aor)
        if check is None:
            self._locate(incoming, aor)
        else:
            self._edge.later(incoming, check, lambda _, __: self._locate(incoming, aor))

    def _locate(self, incoming: Incoming, aor: str) -> None:
        found = self._edge.neighbours.locating.find(aor)
        if found is None or isinstance(found, Registration):
            self._found(incoming, aor, found)
        else:
            self._edge.later(incoming, found, lambda _, registration: self._found(incoming, aor, registration))

    def _found(self, incoming: Incoming, aor: str, registration: Registration | None) -> None:
        waker = self._edge.waker
        if waker is not None and registration is not None and incoming.request.method in WAKING:
            asleep = waker.asleep(registration)
            if asleep:
                awake = waker.rouse(registration, asleep, incoming.request.method)
                self._edge.then(incoming, awake, lambda _, held: self._reach(incoming, aor, held))
                return
        self._reach(incoming, aor, registration)

    def _reach(self, incoming: Incoming, aor: str, registration: Registration | None) -> None:
        if incoming.request.method == "MESSAGE":
            self._page(incoming, aor, registration)
        elif incoming.request.method == "INVITE" and self._edge.gateway.concerns(incoming):
            led = self._edge.gateway.lead(incoming, registration)
            if led is not None:
                self._edge.later(incoming, led, self._forward)
                return
            self._forward(incoming, self._contacts_of(registration), self._edge.gateway)
        else:
            self._forward(incoming, self._contacts_of(registration))

    def _page(self, incoming: Incoming, aor: str, registration: Registration | None) -> None:
        """Send a MESSAGE to the contacts that take any; keep it for a session when there are others only."""
        services = self._edge.neighbours.services
        fallback = services.fallback(incoming, aor)
        if fallback is not None:
            if registration is None or not registration.bindings:
                self._forward(incoming, [], fallback)
                return
            registration = services.for_pages(incoming, registration)
            if registration is None:
                self._edge.later(incoming, services.accept(incoming, GATEWAY, "session-mode"), _nothing)
                return
        self._forward(incoming, self._contacts_of(registration), fallback)

    def _contacts_of(self, registration: Registration | None) -> Groups:
        """Return a user's contacts; the one contact that most users have is made once, not for each message."""
        if registration is None or len(registration.bindings) != 1:
            return registered_targets(registration, self._edge.flow, self._edge.settings.limits.branches)
        known = self._contacts.get(registration.aor)
        if known is not None and known[0] is registration and known[1].flow is not None and known[1].flow.is_open:
            return [[known[1]]]
        groups = registered_targets(registration, self._edge.flow, 1)
        target = groups[0][0]
        if target.flow is not None and not target.flow.pod:
            if len(self._contacts) >= _CONTACTS_REMEMBERED:
                self._contacts.clear()
            self._contacts[registration.aor] = (registration, target)
        return groups

    def only_contact(self, incoming: Incoming) -> tuple[Registration, Target, Keeper | None] | None:
        """Return where a neighbour's MESSAGE goes if that is one contact, and who keeps it if nobody is reached there.

        Raises:
            SipError: As ``route``.
        """
        request, neighbours = incoming.request, self._edge.neighbours
        if {"route", "proxy-require"}.intersection(request.names) or request.names.count("via") > 1:
            return None
        if request.to.tag is not None or request.max_forwards == 0 or incoming.target.scheme == "tel":
            return None
        names = self._edge.names
        if not incoming.target.user or names.is_agents(incoming.target) or not names.is_domain(incoming.target):
            return None
        aor = incoming.target.aor
        registration = neighbours.locating.at_hand(aor)
        if registration is None or len(registration.bindings) != 1:
            return None
        [[target]] = self._contacts_of(registration)
        if target.flow is None or target.flow.pod:
            return None
        return registration, target, neighbours.services.fallback(incoming, aor)

    def _find_other_end(self, incoming: Incoming) -> None:
        routed = incoming.routed
        assert routed is not None
        incoming.identity = Identity(trusted=self._edge.is_trusted(incoming.flow))
        if routed.aor == self._edge.neighbours.agents.aor:
            if not self._edge.names.is_agents(incoming.target):
                raise SipError("Not Found: no session of this dialog's end", status=404)
            self._to_session(incoming)
        elif routed.aor:
            found = self._edge.neighbours.locating.find(routed.aor)
            self._edge.then(
                incoming,
                found,
                lambda _, held: self._forward(incoming, dialog_targets(incoming, held, self._edge.flow)),
            )
        elif routed.flow is not None:
            gone = 430 if incoming.by_path else 480
            self._forward(incoming, dialog_targets(incoming, None, self._edge.flow, gone))
        else:
            self._go_on_outside(incoming, routed)

    def _go_on_outside(self, incoming: Incoming, routed: Routed) -> None:
        """Let a request of a dialog leave: the route proves the dialog, not that its sender is ours and no other."""
        if peer(incoming.flow) == routed.by_peer or self._edge.is_trusted(incoming.flow):
            self._leave(incoming, routed)
        elif routed.by:
            found = self._edge.neighbours.locating.find(routed.by)
            self._edge.then(incoming, found, lambda _, held: self._leave_if_ours(incoming, routed, held))
        else:
            self._prove_and_leave(incoming, routed)

    def _leave_if_ours(self, incoming: Incoming, routed: Routed, registration: Registration | None) -> None:
        flow = stored(incoming.flow, self._edge.pod)
        if registration is not None and any(same_peer(binding.flow, flow) for binding in registration.bindings):
            self._leave(incoming, routed)
        else:
            self._prove_and_leave(incoming, routed)

    def _prove_and_leave(self, incoming: Incoming, routed: Routed) -> None:
        if incoming.server is None:
            return  # An ACK can't be challenged; the INVITE's sender has not moved within a round trip.
        identified = self._edge.neighbours.authentication.identify(incoming)
        self._edge.then(incoming, identified, lambda _, identity: self._leave_as(incoming, routed, identity))

    def _leave_as(self, incoming: Incoming, routed: Routed, identity: Identity) -> None:
        """Let one of ours go on; a row that lets a stranger in says where he may go, and that is not out again."""
        is_his = identity.aor == routed.by if routed.by else bool(identity.aor) or identity.trusted
        if not is_his:
            raise SipError("Forbidden: not your dialog", status=403)
        incoming.identity = identity
        self._leave(incoming, routed)

    def _leave(self, incoming: Incoming, routed: Routed) -> None:
        self._forward(incoming, next_hop_targets(incoming, Decision(action="forward", near=routed.near)))

    def _forward(self, incoming: Incoming, groups: Groups, fallback: Fallback | None = None) -> None:
        if incoming.server is None:
            self._forward_ack(incoming, groups)
            return
        if incoming.request.method == "REGISTER":
            incoming.origin = flow_route(stored(incoming.flow, self._edge.pod))
        if incoming.request.method not in NO_DIALOG and incoming.request.to.tag is None:
            origin: Routed | Later[Routed] = self._origin(incoming)
            self._edge.then(incoming, origin, lambda _, found: self._start(incoming, groups, fallback, found))
            return
        self._start(incoming, groups, fallback, None)

    def _start(self, incoming: Incoming, groups: Groups, fallback: Fallback | None, origin: Routed | None) -> None:
        assert incoming.server is not None
        if origin is not None:
            incoming.origin = origin
        if incoming.server.final_sent:
            return  # It was called off meanwhile.
        Forwarding(self._edge.proxy, incoming, incoming.server, groups, fallback).start(self._edge.now())

    async def _origin(self, incoming: Incoming) -> Routed:
        """Return how the sender of a request that makes a dialog is reached again: by his binding, else his flow."""
        if self._edge.neighbours.agents.is_caller(incoming):
            return Routed(aor=self._edge.neighbours.agents.aor)
        flow = stored(incoming.flow, self._edge.pod)
        aor = incoming.identity.aor
        if aor:
            found = self._edge.neighbours.locating.find(aor)
            registration = await found if isinstance(found, Coroutine) else found
            for binding in registration.bindings if registration is not None else ():
                if same_peer(binding.flow, flow):
                    return Routed(aor=aor, key=binding.key)
        if incoming.identity.trusted and flow.transport == "udp":
            return Routed(near=near(incoming.flow))
        return flow_route(flow)

    def _forward_ack(self, incoming: Incoming, groups: Groups) -> None:
        """Pass an ACK for a 2xx on; it has no transaction and no answer (section 16.11)."""
        for target in groups[0][:1] if groups else ():
            if target.flow is not None:
                target.flow.send(bytes(self._edge.proxy.prepare(incoming, target, target.flow)))
            elif target.next_hop is not None:
                self._edge.proxy.send_once(incoming, target)


def _nothing(_incoming: Incoming, _value: None) -> None:
    """Every answer has been given."""
