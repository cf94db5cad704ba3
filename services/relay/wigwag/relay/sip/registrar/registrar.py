"""The registrar: REGISTER in, bindings in the store (RFC 3261 section 10, RFC 5626, RFC 3327, RFC 8599)."""

from collections.abc import Callable, Coroutine, Sequence
from email.utils import formatdate
from typing import TYPE_CHECKING, Final

from wigwag.protocols.sip import Request, SipError, SipUri, parse_uri
from wigwag.protocols.sip.digest import Role
from wigwag.relay.sip.flows.flow import StreamFlow, stored
from wigwag.relay.sip.incoming import Incoming
from wigwag.store import Binding, OutdatedError, Registration, Store, StoreError, TooManyBindingsError
from wigwag.store import Flow as StoredFlow

from .contact_values import storable, supported
from .contacts import Circumstances, Wanted, wanted
from .events import RegistrationChange, RegistrationEvents
from .own_bindings import OwnBindings
from .upkeep import Upkeep

if TYPE_CHECKING:
    from wigwag.relay.sip.config import RegistrarSettings
    from wigwag.relay.sip.edge import Edge

    from .locations import Locations

OPTIONS: Final = frozenset({"path", "outbound"})
"""Option tags that a REGISTER may require."""
_MOST_PODS: Final = 1_000
"""Bindings of the user agent: one of each of its pods."""
AWAY: Final = (("Retry-After", "5"),)

Fields = tuple[tuple[str, str], ...]


class Registrar:
    """Answers REGISTER for our domains.

    Args:
        edge: The edge.
        settings: Bounds.
        store: Where bindings are.
        locations: Is told of what was registered here.
        own: Bindings that this pod looks after.
        upkeep: Looks after them.
        events: Is told what happens.
        pod: Id of this pod.
        wall: The store's clock.
    """

    def __init__(
        self,
        edge: "Edge",
        settings: "RegistrarSettings",
        *,
        store: Store,
        locations: "Locations",
        own: OwnBindings,
        upkeep: Upkeep,
        events: RegistrationEvents,
        pod: str,
        wall: Callable[[], float],
    ) -> None:
        self._edge = edge
        self._settings = settings
        self._store = store
        self._locations = locations
        self._own = own
        self._upkeep = upkeep
        self._events = events
        self._pod = pod
        self._wall = wall

    async def register(self, incoming: Incoming) -> None:
        """Answer a REGISTER; SipError: the answer it gets instead."""
        request = incoming.request
        _check_required(request)
        user = parse_uri(request.to.uri)
        if not isinstance(user, SipUri) or not self._is_registered_here(user):
            raise SipError("Not Found: To is no user of a domain of ours", status=404)
        await self._check_sender(incoming, user)
        try:
            fields = await self._carry_out(incoming, user.aor)
        except OutdatedError as error:
            raise SipError("CSeq is out of order", status=500) from error
        except TooManyBindingsError as error:
            raise SipError("Too Many Contacts", status=403) from error
        except StoreError as error:
            self._edge.counters["registrar_unavailable"] += 1
            self._upkeep.store_failed(str(error) or "the store is away")
            raise SipError("Registrations Are Not Available", status=503, headers=AWAY) from error
        self._edge.respond(incoming, 200, "OK", fields)

    def flow_closed(self, flow: StreamFlow) -> None:
        """A connection is gone, and what was bound to it."""
        self._upkeep.flow_closed(flow)

    def _is_registered_here(self, user: SipUri) -> bool:
        names = self._edge.names
        if names.is_agents(user):
            return user.aor == self._edge.neighbours.agents.aor
        return names.is_domain(user) and bool(user.user)

    async def _check_sender(self, incoming: Incoming, user: SipUri) -> None:
        if self._edge.names.is_agents(user):
            if not self._edge.neighbours.agents.is_pod(incoming.flow):
                raise SipError("Forbidden", status=403)
            return
        if self._edge.is_trusted(incoming.flow):
            return
        identity = self._edge.neighbours.authentication.authenticate(incoming, Role.USER_AGENT, user)
        incoming.identity = await identity if isinstance(identity, Coroutine) else identity

    # Carrying it out (section 10.3 steps 6 to 8)

    async def _carry_out(self, incoming: Incoming, aor: str) -> Fields:
        asked = self._read(incoming, self._locations.peek(aor))
        if asked is None:
            return self._answer(incoming, None, await self._find(aor))
        is_agents = aor == self._edge.neighbours.agents.aor
        if is_agents and not all(binding.reg_id for binding in asked.bindings):
            raise SipError("a ua pod registers with +sip.instance and reg-id")
        waker = self._edge.waker
        if waker is not None:
            waker.check(incoming.request)
        before = self._locations.peek(aor)
        if asked.removed or asked.remove_all:
            # It is told what goes, and another pod may know more of it.
            before = (await self._find(aor)).bindings
            asked = self._read(incoming, before) or asked
        registration = await self._store.register(
            aor,
            call_id=storable(incoming.request.call_id),
            cseq=incoming.request.cseq.number,
            bindings=asked.bindings,
            removed=asked.removed,
            remove_all=asked.remove_all,
            most=_MOST_PODS if is_agents else self._settings.contacts,
        )
        self._registered(incoming, asked, before, registration)
        return self._answer(incoming, asked, registration)

    async def _find(self, aor: str) -> Registration:
        return (await self._store.find_registrations([aor])).get(aor) or Registration(aor, (), 0)

    def _read(self, incoming: Incoming, known: Sequence[Binding]) -> Wanted | None:
        circumstances = Circumstances(
            flow=self._flow(incoming),
            wall=self._wall(),
            known=known,
            is_own=self._edge.names.is_address,
            pod=self._pod,
        )
        return wanted(incoming.request, self._settings, circumstances)

    def _flow(self, incoming: Incoming) -> StoredFlow | None:
        """Return by which flow the contacts are reached.

        Only a neighbour's word counts that it is not he who has to be sent to: else anybody could have us send to
        addresses of his choice.
        """
        request = incoming.request
        passed_on = len(request.items("via")) > 1 and "path" not in request
        return None if passed_on and self._edge.is_trusted(incoming.flow) else stored(incoming.flow, self._pod)

    def _registered(
        self, incoming: Incoming, asked: Wanted, before: Sequence[Binding], registration: Registration
    ) -> None:
        aor = registration.aor
        self._locations.put(registration)
        wall = self._wall()
        known = {binding.key for binding in before if binding.expires_at > wall}
        gone = [binding for binding in before if asked.remove_all or binding.key in asked.removed]
        for binding in gone:
            self._own.release(aor, binding.key)
            self._events.changed(RegistrationChange.UNREGISTERED, aor, binding)
        keys = {binding.key for binding in asked.bindings}
        for binding in registration.bindings:
            if binding.key not in keys:
                continue
            self._own.take(aor, binding)
            change = RegistrationChange.REFRESHED if binding.key in known else RegistrationChange.REGISTERED
            self._events.changed(change, aor, binding)
            flow = incoming.flow
            if isinstance(flow, StreamFlow) and not flow.is_open:
                self._upkeep.flow_lost(aor, binding)  # It closed while the store was asked.
        if keys and self._edge.waker is not None:
            self._edge.waker.registered(aor)

    # Answering

    def _answer(self, incoming: Incoming, asked: Wanted | None, registration: Registration) -> Fields:
        request, wall = incoming.request, self._wall()
        fields = [("Contact", _contact(binding, wall)) for binding in registration.bindings]
        if asked is not None and "path" in request:
            fields += [("Path", value) for value in request.items("path")]
        fields += [("Service-Route", value) for value in self._settings.service_route]
        if asked is not None and asked.outbound:
            fields.append(("Require", "outbound"))
            if incoming.flow.reliable:
                fields.append(("Flow-Timer", str(self._settings.flow_timer)))
        if asked is not None and self._edge.waker is not None:
            fields += self._edge.waker.capabilities(request)
        fields += [("Supported", "path, outbound"), ("Date", formatdate(wall, usegmt=True))]
        return tuple(fields)


def _check_required(request: Request) -> None:
    unknown = [item for item in request.items("require") if item.lower() not in OPTIONS]
    if unknown:
        raise SipError("Bad Extension", status=420, headers=(("Unsupported", ", ".join(unknown)),))
    if "outbound" in (item.lower() for item in request.items("require")) and not supported(request, "outbound"):
        raise SipError("Require: outbound goes with Supported: outbound")


def _contact(binding: Binding, wall: float) -> str:
    q = "" if binding.q == 1000 else f";q={binding.q / 1000:g}"
    return f"<{binding.contact}>{q};expires={max(0, round(binding.expires_at - wall))}{binding.params}"
