"""A device's half of a confirmed INVITE dialog (RFC 3261 section 12), sans-IO."""

from dataclasses import dataclass, field

from wigwag.protocols.sip import Request, Response
from wigwag.protocols.sip.user_agent import Flow

T1, T2 = 0.5, 4.0
"""Seconds between two 2xx of an INVITE whose ACK is missing: the first time, and at most (section 13.3.1.4)."""


@dataclass(slots=True)
class Dialog:
    """What each half has to know (section 12)."""

    call_id: str
    local: str
    """Our URI and tag, as From has them."""
    remote: str
    target: str
    """The peer's Contact when the dialog was made; it may have moved since."""
    routes: list[str]
    cseq: int
    ended: bool = False
    ack: bytes = b""
    """What the caller says again when the 2xx comes again."""

    @classmethod
    def of_caller(cls, invite: Request, success: Response) -> "Dialog":
        """Return the half of who sent the INVITE."""
        return cls(
            call_id=invite.call_id,
            local=invite.get("from") or "",
            remote=success.get("to") or "",
            target=success.addresses("contact")[0].uri,
            routes=success.items("record-route")[::-1],
            cseq=invite.cseq.number,
        )

    @classmethod
    def of_callee(cls, invite: Request, success: Response) -> "Dialog":
        """Return the half of who answered it."""
        return cls(
            call_id=invite.call_id,
            local=success.get("to") or "",
            remote=invite.get("from") or "",
            target=invite.addresses("contact")[0].uri,
            routes=invite.items("record-route"),
            cseq=0,
        )

    def request(self, method: str, body: bytes = b"", *, cseq: int | None = None) -> Request:
        """Return a request within the dialog, without Via."""
        if cseq is None:
            self.cseq += 1
        fields = [("Max-Forwards", "70"), *(("Route", route) for route in self.routes)]
        fields += [("From", self.local), ("To", self.remote), ("Call-ID", self.call_id)]
        fields += [("CSeq", f"{self.cseq if cseq is None else cseq} {method}")]
        return Request.create(method, self.target, fields + ([("Content-Type", "text/plain")] if body else []), body)

    def acknowledge(self, flow: Flow, branch: str) -> None:
        """Send the ACK of the 2xx, the same whenever the 2xx comes again."""
        if not self.ack:
            ack = self.request("ACK", cseq=self.cseq)
            ack.insert("Via", flow.via(branch))
            self.ack = bytes(ack)
        flow.wire.send(self.ack)


@dataclass(slots=True)
class Answer:
    """The 2xx to an INVITE, until its ACK comes."""

    data: bytes
    due: float
    interval: float = field(default=T1)

    def tick(self, flow: Flow | None, now: float) -> None:
        """Send it again if it is time."""
        if flow is not None and now >= self.due:
            self.interval = min(2 * self.interval, T2)
            self.due = now + self.interval
            flow.wire.send(self.data)
