"""The registrar: REGISTER in, bindings in the store (RFC 3261 section 10, RFC 5626, RFC 3327)."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Final

from wigwag.protocols.sip import NameAddress, Request, SipError, SipUri, parse_uri
from wigwag.protocols.sip.digest import Role
from wigwag.store import Binding, OutdatedError, Registration, Store, TooManyBindingsError

from .flows import Flow, StreamFlow, stored
from .incoming import Incoming

if TYPE_CHECKING:
    from .config import RegistrarSettings
    from .edge import Edge
    from .locations import Locations

_FIELDS_LIMIT: Final = 20
"""Contacts of one REGISTER that are read."""


class Registrar:
    """Answers REGISTER for our domains.

    Args:
        edge: The edge.
        settings: Bounds.
        store: Where bindings are.
        locations: Is told of what was registered here.
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
        pod: str,
        wall: Callable[[], float],
    ) -> None:
        self._edge = edge
        self._settings = settings
        self._store = store
        self._locations = locations
        self._pod = pod
        self._wall = wall

    async def register(self, incoming: Incoming) -> None:
        """Answer a REGISTER; SipError: the answer it gets instead."""
        request = incoming.request
        user = parse_uri(request.to.uri)
        if not isinstance(user, SipUri) or not self._edge.names.is_domain(user) or not user.user:
            raise SipError("Not Found: To is no user of a domain of ours", status=404)
        await self._check_sender(incoming, user)
        registration = await self._carry_out(incoming, user.aor)
        self._edge.respond(incoming, 200, "OK", self._fields(registration))

    async def _check_sender(self, incoming: Incoming, user: SipUri) -> None:
        if self._edge.is_trusted(incoming.flow):
            return
        identity = self._edge.neighbours.authentication.authenticate(incoming, Role.USER_AGENT, user)
        incoming.identity = await identity if isinstance(identity, Coroutine) else identity

    async def _carry_out(self, incoming: Incoming, aor: str) -> Registration:
        request = incoming.request
        contacts = request.items("contact")
        if not contacts:
            return (await self._store.find_registrations([aor])).get(aor) or Registration(aor, (), 0)
        if len(contacts) > _FIELDS_LIMIT:
            raise SipError("Too Many Contacts", status=403)
        remove_all = "*" in contacts
        if remove_all and (len(contacts) > 1 or request.number("expires") != 0):
            raise SipError("Contact * goes alone and with Expires: 0")
        bindings, removed = ([], []) if remove_all else self._bindings(incoming, request.addresses("contact"))
        try:
            registration = await self._store.register(
                aor,
                call_id=request.call_id,
                cseq=request.cseq.number,
                bindings=bindings,
                removed=removed,
                remove_all=remove_all,
                most=self._settings.contacts,
            )
        except OutdatedError as error:
            raise SipError("CSeq is out of order", status=500) from error
        except TooManyBindingsError as error:
            raise SipError("Too Many Contacts", status=403) from error
        self._locations.put(registration)
        self._use_flow(incoming.flow, aor, bindings, removed)
        return registration

    def _bindings(self, incoming: Incoming, contacts: list[NameAddress]) -> tuple[list[Binding], list[str]]:
        bindings, removed = [], []
        for contact in contacts:
            expires = self._expires(incoming.request, contact)
            binding = self._binding(incoming, contact, expires)
            if expires:
                bindings.append(binding)
            else:
                removed.append(binding.key)
        return bindings, removed

    def _expires(self, request: Request, contact: NameAddress) -> int:
        text = contact.parameters.get("expires")
        asked = int(text) if text and text.isdigit() and len(text) <= 10 else request.number("expires")
        if asked is None:
            return self._settings.default_expires
        if 0 < asked < self._settings.min_expires:
            fields = (("Min-Expires", str(self._settings.min_expires)),)
            raise SipError("Interval Too Brief", status=423, headers=fields)
        return min(asked, self._settings.max_expires)

    def _binding(self, incoming: Incoming, contact: NameAddress, expires: int) -> Binding:
        request = incoming.request
        instance = contact.parameters.get("+sip.instance") or ""
        reg_id = contact.parameters.get("reg-id") or "0"
        key = f"{instance};{reg_id}" if instance and reg_id != "0" else str(parse_uri(contact.uri))
        return Binding(
            contact=contact.uri,
            key=key,
            call_id=request.call_id,
            cseq=request.cseq.number,
            expires_at=self._wall() + expires,
            q=_thousandths(contact.parameters.get("q")),
            params="".join(f";{k}" if v is None else f";{k}={v}" for k, v in contact.parameters.items()),
            instance=instance,
            reg_id=int(reg_id) if reg_id.isdigit() and len(reg_id) < 10 else 0,
            path=tuple(request.items("path")),
            flow=stored(incoming.flow, self._pod),
            user_agent=(request.get("user-agent") or "")[:200],
        )

    def _use_flow(self, flow: Flow, aor: str, bindings: list[Binding], removed: list[str]) -> None:
        if isinstance(flow, StreamFlow):
            flow.bindings.update((aor, binding.key) for binding in bindings)
            flow.bindings.difference_update((aor, key) for key in removed)

    def _fields(self, registration: Registration) -> tuple[tuple[str, str], ...]:
        wall = self._wall()
        return tuple(
            ("Contact", f"<{binding.contact}>;expires={max(0, round(binding.expires_at - wall))}")
            for binding in registration.bindings
        )


def _thousandths(q: str | None) -> int:
    try:
        value = float(q) if q is not None else 1.0
    except ValueError as error:
        raise SipError("q is no number from 0 to 1") from error
    if not 0 <= value <= 1:
        raise SipError("q is no number from 0 to 1")
    return round(value * 1000)
