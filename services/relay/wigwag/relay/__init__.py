"""The MSRP relay (RFC 4976)."""

from wigwag.protocols.specification import Spec

_AUTH = "tests/unit/relay/test_authentication.py"
_FORWARDING = "tests/unit/relay/test_forwarding.py"
_PAGER = "tests/unit/relay/sip/pager"
_SIP = "tests/unit/relay/sip"
_REGISTRAR = "tests/unit/relay/sip/registrar/test_registrar.py"
_UPKEEP = "tests/unit/relay/sip/registrar/test_upkeep.py"
_WAKER = "tests/unit/relay/sip/registrar/test_waker.py"

SPECIFICATIONS = (
    Spec("RFC 4976", "6.1", "30 s for the first successful request; several failures close", _AUTH),
    Spec("RFC 4976", "6.2", "A request for somebody else closes its connection", _FORWARDING),
    Spec(
        "RFC 4976",
        "6.3",
        "AUTH: Use-Path, Expires and its bounds, 403, attempt limit, unguessable URIs",
        _AUTH,
    ),
    Spec("RFC 4976", "6.4", "A request goes back toward the URI's client, or comes from it", _FORWARDING),
    Spec("RFC 4976", "6.4.1", "SEND: immediate response, 30 s timer, REPORTs, splitting of chunks", _FORWARDING),
    Spec("RFC 4976", "6.4.2", "REPORT and unknown methods are forwarded", _FORWARDING),
    Spec("RFC 4976", "6.4.3", "Responses complete transactions; refusals become REPORTs", _FORWARDING),
    Spec("RFC 4976", "9.1", "Digest with qop=auth and rspauth; neither Basic nor MD5-sess nor auth-int", _AUTH),
    Spec("RFC 4975", "5.4", "A second connection of a bound peer gets 506", _FORWARDING),
    Spec("RFC 3428", "4", "MESSAGEs of services: no Contact, Date with Expires", f"{_PAGER}/test_outbound.py"),
    Spec("RFC 3428", "6", "Forked, one final response", f"{_PAGER}/test_inbound.py"),
    Spec("RFC 3428", "7", "202 for what is kept, without body and Contact; expiry", f"{_PAGER}/test_inbound.py"),
    Spec("RFC 3428", "8", "One at a time to an address; not above 1,300 octets by UDP", f"{_PAGER}/test_outbound.py"),
    Spec("RFC 8760", "2.4", "SHA-256 is offered before MD5", _AUTH),
    Spec("RFC 3261", "16.5", "Targets by the routing table; no open relay", f"{_SIP}/proxy/test_open_relay.py"),
    Spec("RFC 3261", "16.9", "A lost connection or refused datagram counts as 503", f"{_SIP}/proxy/test_failover.py"),
    Spec("RFC 3261", "18.1.1", "Connections used again; TCP above 1,300 octets", f"{_SIP}/flows/test_outbound.py"),
    Spec("RFC 3261", "26.2.2", "sips is never sent without TLS", f"{_SIP}/flows/test_outbound.py"),
    Spec("RFC 3263", "4.3", "The next server, under a branch of its own", f"{_SIP}/proxy/test_failover.py"),
    Spec("RFC 3327", "5.2", "Path toward a registrar outside", f"{_SIP}/proxy/test_open_relay.py"),
    Spec(
        "RFC 5626", "5.3", "A flow token proves itself; 430 when the flow is gone", f"{_SIP}/proxy/test_open_relay.py"
    ),
    Spec(
        "RFC 3261",
        "10.3",
        "Registrar: Require, authorization, order of CSeq, *, expiry, 423, all or nothing",
        _REGISTRAR,
    ),
    Spec("RFC 3327", "5.3", "Path is kept and given back; 420 without Supported", _REGISTRAR),
    Spec("RFC 3608", "6.3", "Service-Route in the 200", _REGISTRAR),
    Spec("RFC 3840", "9", "Feature tags of a Contact are kept and given back", _REGISTRAR),
    Spec("RFC 5626", "6", "Registrar: instance and reg-id, 439, Require: outbound, Flow-Timer", _REGISTRAR),
    Spec("RFC 5626", "7", "A lost flow ends its bindings", _UPKEEP),
    Spec("RFC 8599", "5", "Wake-ups: Feature-Caps, 555, requests wait for the binding's refresh", _WAKER),
)
