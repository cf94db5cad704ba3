"""The MSRP relay (RFC 4976)."""

from wigwag.protocols.specification import Spec

_AUTH = "tests/unit/relay/test_authentication.py"
_FORWARDING = "tests/unit/relay/test_forwarding.py"

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
    Spec("RFC 8760", "2.4", "SHA-256 is offered before MD5", _AUTH),
)
