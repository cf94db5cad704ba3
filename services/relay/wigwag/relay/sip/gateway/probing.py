"""Asks devices that do not say what they take, with OPTIONS (RFC 3261 section 11); only where the settings want it."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from wigwag.errors import WigwagError
from wigwag.protocols.sip import Request, Response, SipError, parse_name_address
from wigwag.protocols.sip.transactions import ClientTransaction
from wigwag.relay.sip.incoming import Target
from wigwag.relay.sip.proxy.branches import COOKIE
from wigwag.runtime.capabilities import Capabilities, capabilities

from .devices import PAGE, SESSION

if TYPE_CHECKING:
    from wigwag.relay.sip.edge import Edge
    from wigwag.relay.sip.flows.flow import Flow
    from wigwag.store import Binding

MOST: Final = 100
"""Questions that are under way at once; a device that is not asked is tried."""
_MESSAGES: Final = re.compile(rb"^m=message +[0-9]+\S* +\S*MSRP", re.MULTILINE | re.IGNORECASE)


class Prober:
    """Asks devices, each once per registration.

    Args:
        edge: Knows their flows; what they answer goes to its ``devices``.
        random: Unpredictable bytes.

    Attributes:
        under_way: Questions without an answer.
    """

    def __init__(self, edge: "Edge", random: Callable[[int], bytes]) -> None:
        self._edge = edge
        self._random = random
        self.under_way = 0

    def ask(self, aor: str, binding: "Binding") -> bool:
        """Ask a device over its flow if that is this pod's; return whether it was asked."""
        flow = self._edge.flow(binding.flow) if binding.flow is not None else None
        if flow is None or flow.pod or not flow.is_open or self.under_way >= MOST:
            return False
        target = Target(uri=binding.contact, name="", aor=aor, key=binding.key, call_id=binding.call_id)
        self.under_way += 1
        try:
            self._edge.transactions.send_request(
                self._options(binding, aor, flow), flow, _Question(self, target), self._edge.now()
            )
        except WigwagError:
            self.under_way -= 1
            return False
        return True

    def answered(self, target: Target, found: Capabilities) -> None:
        """Take note of what a device has said that it does not take."""
        if found.page is False:
            self._edge.devices.refused(PAGE, target)
        if found.session is False:
            self._edge.devices.refused(SESSION, target)

    def _options(self, binding: "Binding", aor: str, flow: "Flow") -> Request:
        address = flow.address
        sent_by = f"SIP/2.0/{address.via_transport} {address.via_host}:{address.port}"
        fields = [
            ("Via", f"{sent_by};branch={COOKIE}{self._random(12).hex()};rport"),
            ("Max-Forwards", "70"),
            *(("Route", route) for route in binding.path),
            ("From", f"<sip:edge@{address.host}>;tag={self._random(6).hex()}"),
            ("To", f"<{aor}>"),
            ("Call-ID", self._random(12).hex()),
            ("CSeq", "1 OPTIONS"),
            ("Contact", f"<{address.uri()}>"),
            ("Accept", "application/sdp"),
        ]
        return Request.create("OPTIONS", binding.contact, fields)


class _Question:
    """One OPTIONS under way; the user of its transaction."""

    def __init__(self, prober: Prober, target: Target) -> None:
        self._prober = prober
        self._target = target
        self._open = True

    def response_received(self, client: ClientTransaction, response: Response, now: float) -> None:
        """The device answered."""
        if response.status >= 200:
            self._close()
        if 200 <= response.status < 300:
            self._prober.answered(self._target, said_by(response))

    def timed_out(self, client: ClientTransaction, now: float) -> None:
        """It says nothing, here either."""
        self._close()

    def wire_failed(self, client: ClientTransaction, reason: str, now: float) -> None:
        """It is gone."""
        self._close()

    def _close(self) -> None:
        self._prober.under_way -= self._open
        self._open = False


def said_by(response: Response) -> Capabilities:
    """Return what the answer to an OPTIONS says: its Contact (RFC 3840), else Allow and the media that it describes."""
    try:
        contacts = response.items("contact")
        said = capabilities(_parameters(contacts[0])) if contacts else Capabilities()
        allowed = {method.upper() for method in response.items("allow")}
    except SipError:
        return Capabilities()
    page, session = said.page, said.session
    if page is None and allowed:
        page = "MESSAGE" in allowed
    if session is None and allowed and "INVITE" not in allowed:
        session = False
    if session is None and b"\nm=" in response.body:
        session = _MESSAGES.search(response.body) is not None
    return Capabilities(page, session)


def _parameters(contact: str) -> str:
    found = parse_name_address(contact).parameters
    return "".join(f";{name}" if value is None else f";{name}={value}" for name, value in found.items())
