"""Where a request goes: the dialog's other end, registered contacts, a service, a next hop (RFC 3261 section 16.5)."""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Final

from wigwag.protocols.sip import SipError, SipUri, parse_name_address, parse_uri
from wigwag.relay.sip.incoming import Incoming, Target
from wigwag.relay.sip.ports import Decision
from wigwag.relay.sip.registrar.contacts import reached_by_uri
from wigwag.store import Binding, Registration
from wigwag.store import Flow as StoredFlow

if TYPE_CHECKING:
    from wigwag.relay.sip.flows.flow import Flow

Groups = list[list[Target]]
FlowFinder = Callable[[StoredFlow], "Flow | None"]

NOT_FOUND: Final = "no such user, or not registered"


def registered_targets(registration: Registration | None, flows: FlowFinder, most: int) -> Groups:
    """Return a user's contacts: groups of equal q, the highest first.

    Of the flows of one instance only one is tried at a time, the newest first (RFC 5626 section 5.3).

    Raises:
        SipError: 480: there is none.
    """
    if registration is None or not registration.bindings:
        raise SipError("Temporarily Unavailable", status=480)
    bindings = registration.bindings
    if len(bindings) == 1:
        return [[_contact(registration.aor, bindings[0], flows)]]
    targets: dict[str, Target] = {}
    for binding in sorted(bindings, key=lambda held: (-held.q, -held.updated_at)):
        target = _contact(registration.aor, binding, flows)
        first = targets.setdefault(binding.instance or binding.key, target)
        if first is not target:
            first.others.append(target)
    chosen = list(targets.values())[:most]
    return [list(group) for _, group in groupby(chosen, key=lambda target: target.q)]


def dialog_targets(incoming: Incoming, registration: Registration | None, flows: FlowFinder, gone: int = 480) -> Groups:
    """Return the other end of a dialog: the binding its route names, whatever flow that has now.

    Raises:
        SipError: ``gone``: it is registered no more, or its connection is lost.
    """
    routed = incoming.routed
    assert routed is not None
    uri, target_flow = incoming.request.uri, None
    name = f"{routed.aor} {routed.key}"
    if registration is not None:
        for binding in registration.bindings:
            if binding.key == routed.key:
                target = _contact(registration.aor, binding, flows)
                target.uri = uri
                return [[target]]
    stored = routed.flow
    if stored is not None:
        target_flow = flows(stored)
        name = f"{stored.listener} {stored.remote}"
    if target_flow is None:
        raise SipError("Flow Failed" if gone == 430 else "Temporarily Unavailable", status=gone)
    return [[Target(uri=uri, name=name, flow=target_flow, stored_flow=stored)]]


def next_hop_targets(incoming: Incoming, decision: Decision) -> Groups:
    """Return a row's first next hop, and the others for when it fails; without any the request's URI, or its Route's.

    Another one is tried when a hop is out of reach or out of service, not when it has refused (RFC 3263 section 4.3).
    """
    uri = decision.uri or incoming.request.uri
    hops: Sequence[SipUri] = decision.next_hops or (_natural_hop(incoming),)
    first, *others = [
        Target(
            uri=uri,
            name=f"{uri} {hop}",
            next_hop=hop,
            allow_private=decision.allow_private,
            near=decision.near,
            hop_failed=decision.hop_failed,
        )
        for hop in hops
    ]
    first.others = others
    return [[first]]


def _natural_hop(incoming: Incoming) -> SipUri:
    routes = incoming.request.items("route")
    if routes:
        uri = parse_uri(parse_name_address(routes[0]).uri)
        if not isinstance(uri, SipUri):
            raise SipError("Route is no SIP URI", status=416)
        return uri
    if incoming.target.scheme == "tel":
        raise SipError("Unsupported URI Scheme: no route for telephone numbers", status=416)
    return incoming.target


def _contact(aor: str, binding: Binding, flows: FlowFinder) -> Target:
    flow = next_hop = None
    if binding.flow is not None:
        flow = flows(binding.flow)
    if flow is None and reached_by_uri(binding):
        first = parse_name_address(binding.path[0]).uri if binding.path else binding.contact
        uri = parse_uri(first)
        next_hop = uri if isinstance(uri, SipUri) else None
    return Target(
        uri=binding.contact,
        name=f"{aor} {binding.key}",
        q=binding.q,
        flow=flow,
        stored_flow=binding.flow,
        next_hop=next_hop,
        route=binding.path,
        aor=aor,
        key=binding.key,
        call_id=binding.call_id,
        registered_at=binding.updated_at,
    )
