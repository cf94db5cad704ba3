"""A binding that is made, refreshed and removed (RFC 3261 section 10.2, RFC 5626 section 4), sans-IO.

Theory of operation. One registration is one contact, replaced whenever the flow is: the device's instance and reg-id
say that it is the same (RFC 5626); registrars that don't know them get the contact without them after a 439. All its
REGISTERs have one Call-ID and rising CSeq numbers. It is refreshed when between four and five sixths of the time
granted have passed, so that many clients that came at once don't come back at once. A refusal ends it: whether and
where to try again is for the one who chooses the flows.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from wigwag.protocols.sip.errors import SipError
from wigwag.protocols.sip.message import Request, Response
from wigwag.protocols.sip.uri import parse_uri
from wigwag.protocols.sip.uri_comparison import equivalent
from wigwag.protocols.sip.values import NameAddress, parse_number

from .client import Outcome, UserAgentClient
from .exchange import Unanswered
from .identity import Flow, Identity

T = TypeVar("T")

LONGEST: Final = 86_400 * 30
"""Seconds; a registrar that asks for more is not taken at its word."""
_OK, _FIRST_HOP_LACKS_OUTBOUND, _INTERVAL_TOO_BRIEF = 200, 439, 423


class RegistrationState(enum.Enum):
    """Where a registration stands."""

    IDLE = "idle"
    REGISTERING = "registering"
    REGISTERED = "registered"
    UNREGISTERING = "unregistering"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """The registrar has the binding, for the first time or again."""

    expires: int
    """Seconds granted."""
    flow_timer: int | None
    """Seconds within which the server wants to see keep-alives (RFC 5626 section 4.4); None: it did not say."""
    outbound: bool
    """Whether the server promised to reach us over this flow and no other (RFC 5626 section 6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationFailed:
    """There is no binding, or it ends with the time granted before."""

    status: int
    """Status code; 408 when there was no answer, 503 when the connection failed."""
    reason: str
    retry_after: int | None = None
    """Seconds that the server asks to wait."""

    @property
    def is_final(self) -> bool:
        """Whether trying again can't help: the name, the password or the request is wrong."""
        return self.status // 100 != 5 and self.status not in (408, 430, 480, 482)


@dataclass(frozen=True, slots=True)
class Unregistered:
    """The binding is removed."""


RegistrationEvent = Registered | RegistrationFailed | Unregistered


class Registration:
    """One contact at the registrar.

    Args:
        client: Sends the requests.
        identity: Whose contact it is.
        expires: Seconds to ask for, at least 1.
        random: Returns so many unpredictable bytes.
        on_event: Told what becomes of it.
        reg_id: Which of the device's flows it is (RFC 5626 section 4.2.1), 1 and up.
    """

    def __init__(
        self,
        client: UserAgentClient,
        identity: Identity,
        *,
        expires: int,
        random: Callable[[int], bytes],
        on_event: Callable[[RegistrationEvent], None],
        reg_id: int = 1,
    ) -> None:
        self.state = RegistrationState.IDLE
        self._client = client
        self._identity = identity
        self._expires = expires
        self._random = random
        self._on_event = on_event
        self._reg_id = reg_id
        self._call_id = client.token(16)
        self._tag = client.token(6)
        self._cseq = 0
        self._outbound = bool(identity.instance)
        self._flow: Flow | None = None
        self._refresh_at: float | None = None
        self._attempt = 0

    def start(self, flow: Flow, now: float) -> None:
        """Register over a flow, in place of the one before."""
        self._flow = flow
        self._register(flow, now)

    def stop(self, now: float) -> bool:
        """Remove the binding; ``Unregistered`` follows, or a failure. False: there is none, and nothing follows."""
        flow, self._refresh_at = self._flow, None
        if flow is None or self.state is RegistrationState.IDLE:
            return False
        self.state = RegistrationState.UNREGISTERING
        self._send(flow, 0, now)
        return True

    def flow_lost(self, flow: Flow) -> None:
        """Hear that a flow is gone; the binding lasts on the registrar until it is replaced or expires."""
        if flow is not self._flow:
            return
        self.state = RegistrationState.IDLE
        self._flow = self._refresh_at = None
        self._attempt += 1

    def next_timeout(self) -> float | None:
        """Return when the next refresh is due."""
        return self._refresh_at

    def handle_timeout(self, now: float) -> None:
        """Refresh if it is time."""
        if self._refresh_at is not None and now >= self._refresh_at and self._flow is not None:
            self._register(self._flow, now)

    def _register(self, flow: Flow, now: float) -> None:
        self.state = RegistrationState.REGISTERING
        self._refresh_at = None
        self._send(flow, self._expires, now)

    def _send(self, flow: Flow, expires: int, now: float) -> None:
        self._attempt += 1
        self._cseq += 1
        attempt = self._attempt

        def done(request: Request, outcome: Outcome, now: float) -> None:
            self._cseq = max(self._cseq, request.cseq.number)
            if attempt == self._attempt:
                self._conclude(flow, outcome, now)

        self._client.send(self._request(flow, expires), flow, done, now)

    def _request(self, flow: Flow, expires: int) -> Request:
        identity = self._identity
        fields = [
            ("Max-Forwards", "70"),
            ("From", identity.address(self._tag)),
            ("To", identity.address()),
            ("Call-ID", self._call_id),
            ("CSeq", f"{self._cseq} REGISTER"),
            ("Contact", str(self._contact(flow))),
            ("Expires", str(expires)),
            ("Supported", "path, outbound" if self._outbound else "path"),
            ("User-Agent", identity.software),
        ]
        return Request.create("REGISTER", identity.domain, fields)

    def _contact(self, flow: Flow) -> NameAddress:
        parameters: dict[str, str | None] = {}
        if self._identity.instance:
            parameters["+sip.instance"] = f'"<{self._identity.instance}>"'
        if self._outbound:
            parameters["reg-id"] = str(self._reg_id)
        return NameAddress("", flow.contact(self._identity.aor), parameters)

    def _conclude(self, flow: Flow, outcome: Outcome, now: float) -> None:
        if isinstance(outcome, Unanswered):
            self._fail(RegistrationFailed(status=408 if outcome.timed_out else 503, reason=outcome.reason))
        elif outcome.status == _OK and self.state is RegistrationState.UNREGISTERING:
            self.state = RegistrationState.IDLE
            self._on_event(Unregistered())
        elif outcome.status == _OK:
            self._succeed(flow, outcome, now)
        elif not self._adapt(flow, outcome, now):
            retry_after = _seconds(outcome, "retry-after")
            self._fail(
                RegistrationFailed(status=outcome.status, reason=outcome.reason or "refused", retry_after=retry_after)
            )

    def _adapt(self, flow: Flow, refusal: Response, now: float) -> bool:
        """Ask again in the way that the registrar wants; tells whether there is one that was not tried."""
        if refusal.status == _INTERVAL_TOO_BRIEF:
            least = _seconds(refusal, "min-expires")
            if least is None or not self._expires < least <= LONGEST:
                return False
            self._expires = least
        elif refusal.status == _FIRST_HOP_LACKS_OUTBOUND and self._outbound:
            self._outbound = False
        else:
            return False
        self._register(flow, now)
        return True

    def _succeed(self, flow: Flow, response: Response, now: float) -> None:
        expires = max(1, self._granted(flow, response))
        self.state = RegistrationState.REGISTERED
        # RFC 3261 section 10.2.4; 2/3 to 5/6 of the time.
        self._refresh_at = now + expires * (4 + self._random(1)[0] / 256) / 6
        flow.routes[:] = [str(route) for route in _listed(response.addresses, "service-route")]
        outbound = "outbound" in [item.lower() for item in _listed(response.items, "require")]
        flow_timer = _seconds(response, "flow-timer")
        self._on_event(Registered(expires=expires, flow_timer=flow_timer, outbound=outbound))

    def _granted(self, flow: Flow, response: Response) -> int:
        """Return the seconds that our contact has in the registrar's list (RFC 3261 section 10.2.4)."""
        general = _seconds(response, "expires")
        try:
            ours = next((each for each in response.addresses("contact") if self._is_ours(each, flow)), None)
            stated = ours.parameters.get("expires") if ours is not None else None
            seconds = parse_number("expires", stated, LONGEST) if stated else general
        except SipError:
            seconds = general
        return self._expires if seconds is None else seconds

    def _is_ours(self, contact: NameAddress, flow: Flow) -> bool:
        return equivalent(parse_uri(contact.uri), parse_uri(flow.contact(self._identity.aor)))

    def _fail(self, failure: RegistrationFailed) -> None:
        self.state = RegistrationState.IDLE
        self._refresh_at = None
        self._on_event(failure)


def _listed(read: Callable[[str], list[T]], name: str) -> list[T]:
    """Return the elements of a field; none if it is unreadable."""
    try:
        return read(name)
    except SipError:
        return []


def _seconds(response: Response, name: str) -> int | None:
    """Return a field of seconds; None if it is missing or unreadable. Retry-After may go on with a comment."""
    digits = (response.get(name) or "").partition(";")[0].partition("(")[0].strip()
    try:
        return parse_number(name, digits, LONGEST)
    except SipError:
        return None
