"""``python -m tests.support.page_users PLAN``: SIP users in page mode who write to session-mode users, and record it.

Some decline a message now and then, some go and come back; each sends one MESSAGE at a time (RFC 3428 section 8).
"""

import asyncio
import itertools
import re
from typing import Any, Final

import msgspec

from tests.support.device import Device
from tests.support.device_plan import DevicePlan, DevicesPlan, Server
from tests.support.device_server import DeviceServer
from tests.support.device_world import DeviceWorld
from tests.support.ua_plan import Content, UaStatus, body_of, content_of, digest_of
from tests.support.ua_process import UaProcess, main
from wigwag.protocols.sip import Request, Response
from wigwag.protocols.sip.user_agent import Flow, Outcome
from wigwag.runtime.message_recording import PageAnswered, PageReceived, PageRepeated, PageSent, PageTold
from wigwag.transport.connector import Connector
from wigwag.transport.resolver import Resolver
from wigwag.transport.tls import sip_client_context

HOST = "127.0.0.1"
_DECLINES: Final = 7
"""Of so many messages a user who declines some declines one."""
_STAYS, _IS_AWAY = 6.0, 2.0
"""Seconds that a user who comes and goes stays, and is away."""
QUOTED: Final = re.compile(r'“\{"key":"([^"]+)"')


def peer_of(user: str) -> str:
    """Return whom a user talks with: ``p3`` and ``c3`` do."""
    return f"{'c' if user.startswith('p') else 'p'}{user[1:]}"


class PageWorld(DeviceWorld):
    """What page-mode users share: what a device would record of edges is left out."""

    def __init__(self, process: "PageUsers") -> None:
        plan = process.plan
        server = Server(
            host=HOST, ports={"TCP": plan.sip_port}, name=HOST, ca_file=plan.ca_file, domain=plan.domain,
            password=plan.password,
        )  # fmt: skip
        self.plan = DevicesPlan(name=plan.name, directory=plan.directory, server=server, clients=(), rate=0.0)
        self.now = asyncio.get_running_loop().time
        self.connector = Connector(Resolver(choose=lambda most: 0), tls=sip_client_context)
        self.process = process
        self._flows = itertools.count(1)

    def record(self, kind: type[msgspec.Struct], **fields: Any) -> None:
        """Nothing of what an edge's device records."""


class PageServer(DeviceServer):
    """Shows messages, once each."""

    def __init__(self, user: "PageUser", world: PageWorld) -> None:
        super().__init__(user, user.transactions, world)
        self._user = user
        self._process = world.process
        self._given: dict[tuple[str, int, str | None], int] = {}
        """Call-ID, CSeq number and From tag of what was shown -> how it was answered."""
        self._came = 0

    def receive(self, request: Request, flow: Flow, now: float) -> None:
        """Take a request."""
        if request.method == "ACK":
            self._user.transactions.receive_ack(request, now)
            return
        server = self._user.transactions.receive_request(request, flow.wire, now)
        if server is None:
            return
        status = self._status(request) if request.method == "MESSAGE" else 405
        reason = {200: "OK", 405: "Method Not Allowed", 603: "Decline"}[status]
        server.respond(Response.to_request(request, status, reason, to_tag="page"), now)

    def _status(self, request: Request) -> int:
        name, identity = self._user.plan.name, (request.call_id, request.cseq.number, request.from_.tag)
        content = _content(request)
        known = self._given.get(identity)
        if content is None:
            if known is None:
                self._told(request)
            self._given[identity] = 200
            return 200
        if known is not None:
            self._process.record(PageRepeated, user=name, key=content.key)
            return known
        self._came += 1
        status = 603 if self._user.declines and self._came % _DECLINES == 0 else 200
        self._given[identity] = status
        self._process.record(
            PageReceived, user=name, key=content.key, sequence=content.sequence, digest=digest_of(request.body),
            status=status,
        )  # fmt: skip
        return status

    def _told(self, request: Request) -> None:
        """Take a notice: on a message, or that the other side has left."""
        text = request.body.decode()
        found = QUOTED.search(text)
        if found is not None:
            self._process.record(PageTold, user=self._user.plan.name, key=found[1])
        elif "has left" not in text:
            raise AssertionError(f"the gateway wrote {text!r}")


def _content(request: Request) -> Content | None:
    """Return which message it is; None: none of ours, but a notice."""
    try:
        return content_of(request.body)
    except msgspec.DecodeError:
        return None


class PageUser(Device):
    """One user.

    Args:
        plan: Who he is.
        world: What he shares with others.
        declines: Whether he declines a message now and then.
        wanders: Whether he goes and comes back.
    """

    def __init__(self, plan: DevicePlan, world: PageWorld, *, declines: bool, wanders: bool) -> None:
        super().__init__(plan, world)
        self.declines, self.wanders = declines, wanders
        self.transactions = self._transactions
        self._server: DeviceServer = PageServer(self, world)
        self._process = world.process
        self._sequence = 0
        self._staying = asyncio.create_task(self.stay_registered())

    def send_message(self) -> bool:
        """Send a MESSAGE, unless the one before has no outcome yet or there is no flow; tells whether it did."""
        if self.flow is None or self._messaging:
            return False
        self._messaging = True
        self._sequence += 1
        self.unanswered = 1
        key = f"{self.plan.name}.{self._sequence}"
        body = body_of(key, self._sequence)
        self._process.record(
            PageSent, user=self.plan.name, to=self.plan.peer, key=key, sequence=self._sequence, digest=digest_of(body)
        )

        def done(request: Request, outcome: Outcome, now: float) -> None:
            self._messaging = False
            self.unanswered = 0
            status = outcome.status if isinstance(outcome, Response) else 0
            self._process.record(PageAnswered, user=self.plan.name, key=key, status=status)
            self._note_refusal(request, outcome)

        self._client.send(self._outside("MESSAGE", body), self.flow, done, self._world.now())
        return True

    async def wander(self) -> None:
        """Go, and come back, for ever; without a word, or after the binding is removed."""
        for turn in itertools.count():
            await asyncio.sleep(_STAYS)
            if turn % 2 and self.flow is not None and self._registration.stop(self._world.now()):
                await asyncio.sleep(_IS_AWAY / 4)
            self._staying.cancel()
            self._leave("away")
            await asyncio.sleep(_IS_AWAY)
            self._staying = asyncio.create_task(self.stay_registered())


class PageUsers(UaProcess):
    """All users of the process."""

    async def open(self) -> None:
        """Let all register."""
        self._world = PageWorld(self)
        self.users = [self._user(number, name) for number, name in enumerate(self.plan.clients)]
        self._turns = itertools.cycle(self.users)
        self._wandering: list[asyncio.Task[None]] = []
        self._timers = asyncio.create_task(self._tick_users())

    def _user(self, number: int, name: str) -> PageUser:
        plan = DevicePlan(name=name, peer=peer_of(name), transport="TCP")
        return PageUser(plan, self._world, declines=number % 4 == 1, wanders=number % 4 == 2)

    async def _tick_users(self) -> None:
        while True:
            for user in self.users:
                user.tick(self._world.now())
            await asyncio.sleep(0.02)

    def command(self, line: str) -> None:
        """Some come and go while there is talk; when it is over, all are there."""
        word = line.strip()
        if word == "talk":
            self._wandering = [asyncio.create_task(user.wander()) for user in self.users if user.wanders]
        elif word == "quiet":
            for user, task in zip([user for user in self.users if user.wanders], self._wandering, strict=True):
                task.cancel()
                user._staying.cancel()
                user._leave("back")
                user._staying = asyncio.create_task(user.stay_registered())
        super().command(line)

    async def close(self) -> None:
        """Leave."""
        self._timers.cancel()
        for user in self.users:
            user._staying.cancel()
            await user.close()
        await self._world.connector.close()

    def call(self) -> None:
        """Nothing: nobody calls."""

    def send_one(self) -> bool:
        """Let the next one send that can."""
        return any(next(self._turns).send_message() for _ in self.users)

    def status(self) -> UaStatus:
        """How it stands."""
        users: list[PageUser] = getattr(self, "users", [])
        return UaStatus(
            clients=len(self.plan.clients),
            ready=sum(user.is_ready for user in users),
            sending=self.sending,
            sent=self.sent,
            unanswered=sum(user.unanswered for user in users),
        )


if __name__ == "__main__":
    main(PageUsers)
