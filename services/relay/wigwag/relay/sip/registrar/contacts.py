"""What a REGISTER asks for: its Contacts as bindings (RFC 3261 section 10.3, RFC 5626, RFC 3327, RFC 8599)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wigwag.protocols.sip import (
    NameAddress,
    Request,
    SipError,
    SipUri,
    equivalent,
    parse_name_address,
    parse_uri,
)
from wigwag.store import Binding
from wigwag.store import Flow as StoredFlow

from .contact_values import (
    canonical,
    delta_seconds,
    has_ob,
    header_expires,
    instance_of,
    kept_parameters,
    path_of,
    plain,
    push_parameters,
    reg_id_of,
    storable,
    supported,
    thousandths,
)

if TYPE_CHECKING:
    from wigwag.relay.sip.config import RegistrarSettings

EVERY: Final = "*"
_MOST_CONTACTS: Final = 20
"""Contacts of one REGISTER that are read."""
_MALFORMED_EXPIRES: Final = 3600
"""RFC 3261 section 10.2.1.1."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a REGISTER with Contacts asks for."""

    bindings: tuple[Binding, ...] = ()
    """To add or refresh."""
    removed: tuple[str, ...] = ()
    """Keys to remove."""
    remove_all: bool = False
    outbound: bool = False
    """Whether a Contact is bound to its flow by instance and reg-id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What the registrar knows beside the request."""

    flow: StoredFlow | None
    """By which the contacts are reached; None: by their URIs."""
    wall: float
    known: Sequence[Binding]
    """Bindings of the user that this pod knows of."""
    is_own: Callable[[SipUri], bool]
    """Tells whether a URI leads to this edge."""
    pod: str = ""
    """The pod that writes what is asked for."""


def wanted(request: Request, settings: "RegistrarSettings", circumstances: Circumstances) -> Wanted | None:
    """Return what is asked for; None: nothing, it is a query.

    Raises:
        SipError: 400, 403 (too many), 420 (Path), 423, 439.
    """
    values = request.items("contact")
    if not values:
        return None
    if len(values) > _MOST_CONTACTS:
        raise SipError("Too Many Contacts", status=403)
    if EVERY in values:
        return _removal_of_all(request, values)
    return _Reading(request, settings, circumstances).read([parse_name_address(value) for value in values])


def _removal_of_all(request: Request, values: list[str]) -> Wanted:
    if len(values) > 1 or request.get("expires") is None or header_expires(request) != 0:
        raise SipError("Contact * goes alone and with Expires: 0")
    return Wanted(remove_all=True)


class _Reading:
    """Reads the Contacts of one request."""

    def __init__(self, request: Request, settings: "RegistrarSettings", circumstances: Circumstances) -> None:
        self._request = request
        self._settings = settings
        self._circumstances = circumstances
        self._path = path_of(request)
        self._user_agent = storable((request.get("user-agent") or "")[:200])

    def read(self, contacts: list[NameAddress]) -> Wanted:
        outbound = self._applies_outbound(contacts)
        bindings: list[Binding] = []
        removed: list[str] = []
        for contact in contacts:
            expires = self._expires(contact)
            binding = self._binding(contact, expires, outbound=outbound)
            if binding.key in removed or any(binding.key == other.key for other in bindings):
                raise SipError("the same Contact is there twice")
            if expires:
                bindings.append(binding)
            else:
                removed.append(binding.key)
        flows = any(binding.reg_id for binding in bindings)
        if flows and len(bindings) > 1:
            # RFC 5626 section 6: a flow has one instance.
            raise SipError("a Contact with reg-id goes without others")
        return Wanted(tuple(bindings), tuple(removed), outbound=flows and supported(self._request, "outbound"))

    def _applies_outbound(self, contacts: list[NameAddress]) -> bool:
        """Tell whether reg-id counts (RFC 5626 section 6)."""
        if not any(instance_of(contact) and reg_id_of(contact) for contact in contacts):
            return False
        if self._request.names.count("via") == 1 and len(self._request.items("via")) == 1:
            return True
        if any(has_ob(value) for value in self._path):
            return True
        if supported(self._request, "outbound"):
            raise SipError("First Hop Lacks Outbound Support", status=439)
        return False

    def _expires(self, contact: NameAddress) -> int:
        """Return for how many seconds it is to be bound; 0: not any more (section 10.2.1.1)."""
        settings = self._settings
        if "expires" in contact.parameters:
            asked = delta_seconds(contact.parameters["expires"] or "")
            asked = _MALFORMED_EXPIRES if asked is None else asked
        elif self._request.get("expires") is not None:
            asked = header_expires(self._request)
        else:
            asked = settings.default_expires
        if 0 < asked < settings.min_expires:
            fields = (("Min-Expires", str(settings.min_expires)),)
            raise SipError("Interval Too Brief", status=423, headers=fields)
        return min(asked, settings.max_expires)

    def _binding(self, contact: NameAddress, expires: int, *, outbound: bool) -> Binding:
        uri = self._uri(contact)
        instance, reg_id = instance_of(contact), reg_id_of(contact) if outbound else 0
        bound_to_flow = bool(instance and reg_id)
        return Binding(
            contact=contact.uri,
            key=f"{instance};{reg_id}" if bound_to_flow else self._key(uri),
            call_id=storable(self._request.call_id),
            cseq=self._request.cseq.number,
            expires_at=self._circumstances.wall + expires,
            q=thousandths(contact),
            params=kept_parameters(contact),
            instance=instance,
            reg_id=reg_id if bound_to_flow else 0,
            path=self._path,
            flow=self._circumstances.flow,
            user_agent=self._user_agent,
            push=push_parameters(uri),
            writer=self._circumstances.pod,
        )

    def _uri(self, contact: NameAddress) -> SipUri:
        try:
            uri = parse_uri(contact.uri)
        except SipError as error:
            raise SipError(f"Contact: {error.reason}") from error
        if not isinstance(uri, SipUri):
            raise SipError("Contact is no SIP URI")
        if self._circumstances.is_own(uri):
            raise SipError("Contact leads to this server")
        return uri

    def _key(self, uri: SipUri) -> str:
        """Return the key of the binding whose contact is equal, else one of its own.

        Equality is not transitive (section 19.1.4), so no text of a URI alone can be the key.
        """
        wanted_uri = plain(uri)
        for binding in self._circumstances.known:
            other = parse_uri(binding.contact)
            if not binding.reg_id and isinstance(other, SipUri) and equivalent(plain(other), wanted_uri):
                return binding.key
        return canonical(wanted_uri)


def reached_by_uri(binding: Binding, *, trusted: bool = False) -> bool:
    """Tell whether a binding is reached where its URIs lead when its connection is gone.

    By its Path if a neighbour gave it: anybody else could have us send to addresses of his choice. By its contact if
    that has the address which the connection came from. Otherwise the address is a private one behind a NAT, or was
    made up as WebSocket clients have to, and what is sent there would reach nobody or somebody else. With instance and
    reg-id the flow was all there was (RFC 5626 section 7).

    Args:
        binding: The binding.
        trusted: Whether its connection was a neighbour's.
    """
    flow = binding.flow
    if flow is None:
        # A neighbour passed it on, or it was found to be so when its connection was lost.
        return bool(binding.path) or not binding.push
    if binding.path:
        return trusted
    if binding.reg_id or flow.transport in ("ws", "wss"):
        return False
    uri = parse_uri(binding.contact)
    return isinstance(uri, SipUri) and uri.host.strip("[]") == flow.remote.rpartition(":")[0].strip("[]")
