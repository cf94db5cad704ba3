"""Requests that a client transaction makes of its own: ACK and CANCEL (RFC 3261 sections 17.1.1.3, 9.1)."""

from wigwag.protocols.sip.message import Request, Response


def ack_of(invite: Request, refusal: Response) -> Request:
    """Return the ACK of a final response that is no 2xx: the INVITE's, but for To, which is the response's."""
    return _same(invite, "ACK", refusal.get("to") or invite.get("to") or "")


def cancel_of(invite: Request) -> Request:
    """Return the CANCEL of a request: same Request-URI, Call-ID, To, From, CSeq number, topmost Via and Route."""
    return _same(invite, "CANCEL", invite.get("to") or "")


def _same(invite: Request, method: str, to: str) -> Request:
    fields = [("Via", str(invite.via)), ("Max-Forwards", "70")]
    fields += [("Route", route) for route in invite.get_all("route")]
    fields += [("From", invite.get("from") or ""), ("To", to), ("Call-ID", invite.call_id)]
    fields.append(("CSeq", f"{invite.cseq.number} {method}"))
    return Request.create(method, invite.uri, fields)
