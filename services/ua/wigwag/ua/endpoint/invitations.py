"""The INVITE of a call that we make (RFC 3261 section 13.2.1)."""

from wigwag.protocols.sip.dialogs import Call
from wigwag.protocols.sip.values import NameAddress

from .model import OutgoingCall


def invite_of(
    call: OutgoingCall, uri: str, offer: bytes, *, contact: str, routes: tuple[str, ...], call_id: str
) -> Call:
    """Return an INVITE.

    Args:
        call: Whom to call.
        uri: Request-URI.
        offer: SDP.
        contact: Our Contact's URI.
        routes: Route fields.
        call_id: Call-ID.
    """
    subject = (("Subject", call.subject),) if call.subject else ()
    return Call(
        uri=uri,
        from_address=str(NameAddress(call.display_name, call.from_uri)),
        contact=contact,
        offer=offer,
        to_address=str(NameAddress("", call.to_uri)),
        routes=routes,
        fields=(*subject, *call.fields),
        call_id=call_id,
    )
