"""One SIP device: it stays registered, sends MESSAGEs and takes them, and uses one dialog; all of it is recorded.

It does what a plain client does: over UDP its transactions repeat requests and nothing else is done; when a connection
is lost, what was under way over it ends there, and the device connects and registers again.
"""

import asyncio
import random
import secrets
import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

import msgspec

from tests.support.device_dialogs import Dialog
from tests.support.device_plan import DevicePlan
from tests.support.device_server import DeviceServer
from tests.support.device_world import Content, DeviceWorld, digest_of
from wigwag.protocols.sip import Request, Response, SipError
from wigwag.protocols.sip.digest import Account, DigestClient
from wigwag.protocols.sip.transactions import Transactions
from wigwag.protocols.sip.user_agent import (
    Flow,
    Identity,
    Outcome,
    Registered,
    Registration,
    RegistrationEvent,
    RegistrationFailed,
    UserAgentClient,
)
from wigwag.protocols.sip.validation import validate
from wigwag.runtime.edge_recording import FlowLost, FlowOpened, RequestEnded, RequestSent
from wigwag.transport.errors import TransportError
from wigwag.transport.sip_flows import OpenFlow

_RETRY = 0.2
"""Seconds until a request that has to succeed is tried again."""
_LONGEST_WAIT = 8.0
"""Seconds between two attempts to get in."""
Concluded = Callable[[Request, Outcome], None]


class Device:
    """See the module's text.

    Args:
        plan: Who it is, and what it does.
        world: What it shares with others.
    """

    def __init__(self, plan: DevicePlan, world: DeviceWorld) -> None:
        domain = world.plan.server.domain
        self.plan = plan
        self.dialog: Dialog | None = None
        self.round_due = False
        """Whether an INFO has to get through before the round is over."""
        self.round_failures = 0
        self.unanswered = 0
        self.calling = self.hanging_up = False
        self._world = world
        self._peer = f"sip:{plan.peer}@{domain}"
        self._aor = f"sip:{plan.name}@{domain}"
        self.identity = Identity.of(self._aor, instance=uuid.uuid5(uuid.NAMESPACE_URL, plan.name).urn)
        account = Account(plan.name, world.plan.server.password)
        self._digest = DigestClient(lambda _: account, secrets.token_bytes)
        self._transactions = Transactions()
        self._client = UserAgentClient(self._transactions, self._digest, secrets.token_bytes)
        self._registration = Registration(
            self._client, self.identity, expires=600, random=secrets.token_bytes, on_event=self._registered
        )
        self._server = DeviceServer(self, self._transactions, world)
        self._opened: OpenFlow | None = None
        self.flow: Flow | None = None
        """Over which it is registered."""
        self.flow_name = ""
        self._down = asyncio.Event()
        self._sequences: defaultdict[str, int] = defaultdict(int)
        self._sent = 0
        self._messaging = self._in_dialog = self._had_dialog = self._talking = self._was_registered = False
        self._finished = False
        self._next_in_dialog = 0.0

    @property
    def is_ready(self) -> bool:
        """Whether it is registered."""
        return self.flow is not None

    # The way to the edge

    async def stay_registered(self) -> None:
        """Open a flow and register over it, again whenever it is lost; over UDP the flow stays."""
        wait = self._world.plan.jitter
        while True:
            self._down.clear()
            self._was_registered = False
            try:
                await self._register()
            except TransportError as error:
                self._world.note(f"{self.plan.name}: {error}")
            wait = self._world.plan.jitter if self._was_registered else min(2 * wait, _LONGEST_WAIT)
            await asyncio.sleep(random.uniform(wait / 2, wait))

    async def _register(self) -> None:
        if self._opened is None:
            self._opened = await self._world.open(self.plan.transport, self)
            self.flow_name = self._world.flow_name(self.plan.name)
            self._world.record(
                FlowOpened, device=self.plan.name, aor=self._aor, flow=self.flow_name, transport=self.plan.transport
            )
        self._registration.start(self._opened.flow, self._world.now())
        await self._down.wait()
        if self.plan.transport != "UDP":
            self._leave("given up")

    def _registered(self, event: RegistrationEvent) -> None:
        if isinstance(event, RegistrationFailed):
            self._world.note(f"{self.plan.name}: not registered: {event}")
            self._down.set()
        elif isinstance(event, Registered) and self._opened is not None:
            self._was_registered = True
            self.flow = self._opened.flow

    def _leave(self, reason: str) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            self._forget(opened.flow, reason)
            opened.close(reason)

    def flow_lost(self, flow: Flow, reason: str) -> None:
        """The connection is over."""
        if self._opened is not None and flow is self._opened.flow:
            self._opened = None
            self._forget(flow, reason)
            self._down.set()

    def _forget(self, flow: Flow, reason: str) -> None:
        if not self._finished:
            self._world.record(FlowLost, flow=self.flow_name, reason=reason)
        self.flow, self.flow_name = None, ""
        # The edge's nonces are bound to the connection that they came over.
        self._digest.forget()
        self._transactions.wire_lost(flow.wire, reason, self._world.now())
        self._registration.flow_lost(flow)

    async def close(self) -> None:
        """Leave the edge in good order."""
        self._finished = True
        self._leave("finished")

    def message_received(self, flow: Flow, message: Request | Response) -> None:
        """A message came."""
        if self._opened is None or flow is not self._opened.flow:
            return
        validate(message)
        if isinstance(message, Request):
            self._server.receive(message, flow, self._world.now())
        else:
            self._transactions.receive_response(message, self._world.now())

    def broken_received(self, flow: Flow, error: SipError) -> None:
        """No edge may write what can't be read."""
        raise AssertionError(f"the edge wrote what can't be read: {error.reason}")

    def something_received(self, flow: Flow) -> None:
        """The edge lives."""

    # What it does

    def tick(self, now: float) -> None:
        """Do what is due."""
        self._transactions.handle_timeout(now)
        self._registration.handle_timeout(now)
        self._server.tick(now)
        if self.flow is not None and not self._in_dialog and now >= self._next_in_dialog:
            self._go_on_in_dialog(now)

    def _go_on_in_dialog(self, now: float) -> None:
        dialog = self.dialog
        if self.calling and not self._had_dialog:
            self._invite()
        elif dialog is not None and self.hanging_up:
            self._send("BYE", dialog.request, self._hung_up, dialog)
        elif dialog is not None and (self.round_due or self._talking):
            self._next_in_dialog = now + self._world.plan.info_interval
            self._send("INFO", dialog.request, self._informed, dialog)

    def talk(self, on: bool) -> None:
        """Begin to send INFOs, or stop."""
        self._talking = on

    def begin_round(self) -> None:
        """Let an INFO of this device get through, now."""
        self.round_due = self.dialog is not None
        self._next_in_dialog = 0.0

    def send_message(self) -> bool:
        """Send a MESSAGE, unless the one before has no outcome yet or there is no flow; tells whether it did."""
        if self.flow is None or self._messaging:
            return False
        self._messaging = True
        self._send("MESSAGE", self._outside, self._message_ended, None)
        return True

    def answered(self, dialog: Dialog) -> None:
        """Hear that a dialog was set up from the other side."""
        self.dialog, self._had_dialog = dialog, True

    # Requests

    def _outside(self, method: str, body: bytes) -> Request:
        assert self.flow is not None
        fields = [("Max-Forwards", "70"), ("From", self.identity.address(self._client.token(6)))]
        fields += [("To", f"<{self._peer}>"), ("Call-ID", self._client.token(16)), ("CSeq", f"1 {method}")]
        if method == "INVITE":
            fields.append(("Contact", f"<{self.flow.contact(self.identity.aor)}>"))
        return Request.create(method, self._peer, [*fields, ("Content-Type", "text/plain")], body)

    def _send(
        self, method: str, make: Callable[[str, bytes], Request], concluded: Concluded, dialog: Dialog | None
    ) -> None:
        assert self.flow is not None
        name = "" if method == "MESSAGE" else f"dialog of {self.plan.name} and {self.plan.peer}"
        self._sent += 1
        self._sequences[name] += 1
        self._in_dialog = self._in_dialog or method != "MESSAGE"
        identity, sequence = f"{self.plan.name}-{self._sent}", self._sequences[name]
        body = msgspec.json.encode(Content(identity, sequence))
        self._world.record(
            RequestSent, flow=self.flow_name, device=self.plan.name, to=self._peer, method=method, id=identity,
            dialog=name, sequence=sequence, digest=digest_of(body),
        )  # fmt: skip
        self.unanswered += 1
        ended = False

        def done(request: Request, outcome: Outcome, now: float) -> None:
            nonlocal ended
            if ended:
                # A 2xx of an INVITE that came again, for want of our ACK.
                self._acknowledge()
                return
            ended = True
            self._conclude(identity, outcome)
            if dialog is not None:
                dialog.cseq = max(dialog.cseq, request.cseq.number)
            concluded(request, outcome)

        # Requests of a dialog have its Route set, and no other.
        flow = replace(self.flow, routes=[]) if dialog is not None else self.flow
        self._client.send(make(method, body), flow, done, self._world.now())

    def _conclude(self, identity: str, outcome: Outcome) -> None:
        self.unanswered -= 1
        cause, status = "answered", 0
        if isinstance(outcome, Response):
            status = outcome.status
        else:
            cause = "timeout" if outcome.timed_out else "flow lost"
        self._world.record(RequestEnded, device=self.plan.name, id=identity, cause=cause, status=status)

    def _message_ended(self, request: Request, outcome: Outcome) -> None:
        self._messaging = False
        self._note_refusal(request, outcome)

    # The dialog

    def _invite(self) -> None:
        self._send("INVITE", self._outside, self._accepted, None)

    def _accepted(self, request: Request, outcome: Outcome) -> None:
        self._in_dialog = False
        if isinstance(outcome, Response) and outcome.status == 200:
            self.dialog, self._had_dialog = Dialog.of_caller(request, outcome), True
            self._acknowledge()
        else:
            self._note_refusal(request, outcome)
            self._next_in_dialog = self._world.now() + _RETRY

    def _acknowledge(self) -> None:
        if self.dialog is not None and self.flow is not None:
            self.dialog.acknowledge(self.flow, f"z9hG4bK{self._client.token()}")

    def _informed(self, request: Request, outcome: Outcome) -> None:
        self._in_dialog = False
        if self._note_refusal(request, outcome) and self.round_due:
            self.round_failures += 1
            self._next_in_dialog = self._world.now() + _RETRY
        else:
            self.round_due = False

    def _hung_up(self, request: Request, outcome: Outcome) -> None:
        self._in_dialog = False
        if self._note_refusal(request, outcome):
            self._next_in_dialog = self._world.now() + _RETRY
        else:
            self.dialog = None

    def _note_refusal(self, request: Request, outcome: Outcome) -> bool:
        if isinstance(outcome, Response) and outcome.status < 300:
            return False
        said = f"{outcome.status} {outcome.reason}" if isinstance(outcome, Response) else outcome.reason
        self._world.note(f"{self.plan.name} to {self.plan.peer}: {request.method} {request.call_id}: {said}")
        return True
