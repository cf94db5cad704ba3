"""Devices that do as RFC 3261 says, without sockets: transactions, digest, dialogs; what their users saw is kept."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from wigwag.protocols.sip import Request, Response, SipError, parse_datagram, parse_name_address, validate
from wigwag.protocols.sip.digest import Account, DigestClient
from wigwag.protocols.sip.transactions import ClientTransaction, ServerTransaction, Transactions

DOMAIN = "example.com"


@dataclass(eq=False)
class DeviceWire:
    """A device's connection, or its datagrams."""

    reliable: bool
    carry: Callable[[bytes], None]

    def send(self, data: bytes) -> None:
        self.carry(data)


@dataclass(eq=False)
class Sent:
    """A request and what became of it."""

    request: Request
    begun: float
    status: int | None = None
    """Of the final response; None: none yet, or none in time."""
    ended: float | None = None
    tries: int = 1


@dataclass(eq=False)
class Dialog:
    """A call that stands, as one end sees it."""

    call_id: str
    local: str
    """From of this end's requests."""
    remote: str
    target: str
    routes: list[str]
    peer: str
    """Whom it is with."""
    cseq: int = 1000


@dataclass(eq=False)
class Ok:
    """A 2xx of an INVITE, repeated until its ACK comes."""

    server: ServerTransaction
    response: Response
    at: float
    interval: float = 0.5
    begun: float = field(default=0.0)


class Device:
    """One device of a user.

    Args:
        user: Whose.
        password: What it says it is.
        kind: udp, tcp or ws.
        port: Where its contact is.
        random: Decides how it behaves.
        now: Seconds.
    """

    def __init__(
        self, user: str, password: str, kind: str, port: int, *, random: Random, now: Callable[[], float]
    ) -> None:
        self.user = user
        self.kind = kind
        self.remote = (f"203.0.113.{port % 250}", port)
        self.aor = f"sip:{user}@{DOMAIN}"
        self.contact = f"sip:{user}@{self.remote[0]}:{port}" + ("" if kind == "udp" else f";transport={kind}")
        self.transactions = Transactions()
        self.wire = DeviceWire(reliable=kind != "udp", carry=lambda _: None)
        self.seen: dict[str, list[str]] = {}
        """Texts of messages, and the branches under which each came."""
        self.sent: list[Sent] = []
        self.dialogs: list[Dialog] = []
        self.ringing: list[ServerTransaction] = []
        self._oks: list[Ok] = []
        self._of: dict[ClientTransaction, Sent] = {}
        self._digest = DigestClient(lambda _: Account(user, password), lambda octets: b"c" * octets)
        self._random = random
        self._now = now
        self._numbers = itertools.count(1)
        self.cseq = 0

    # Out

    def register(self) -> Sent:
        fields = [("Contact", f"<{self.contact}>"), ("Expires", "3600")]
        return self.begin(self._request("REGISTER", f"sip:{DOMAIN}", self.aor, fields, call_id=f"reg-{self.remote[1]}"))

    def message(self, to: str, text: str) -> Sent:
        uri = f"sip:{to}@{DOMAIN}"
        return self.begin(self._request("MESSAGE", uri, uri, [("Content-Type", "text/plain")], text.encode()))

    def invite(self, to: str) -> Sent:
        uri = f"sip:{to}@{DOMAIN}"
        return self.begin(self._request("INVITE", uri, uri, [("Contact", f"<{self.contact}>")]))

    def within(self, dialog: Dialog, method: str) -> Sent:
        dialog.cseq += 1
        request = self._request(method, dialog.target, dialog.remote, [], call_id=dialog.call_id)
        request.set("From", dialog.local)
        request.set("To", dialog.remote)
        request.set("CSeq", f"{dialog.cseq} {method}")
        for route in dialog.routes:
            request.append("Route", route)
        return self.begin(request)

    def begin(self, request: Request) -> Sent:
        sent = Sent(request, self._now())
        self.sent.append(sent)
        self._send(sent, request)
        return sent

    def cancel_calls(self) -> None:
        for client in list(self._of):
            client.cancel(self._now())

    def _send(self, sent: Sent, request: Request) -> None:
        sent.request = request
        client = self.transactions.send_request(request, self.wire, self, self._now())
        self._of[client] = sent

    def _request(
        self, method: str, uri: str, to: str, fields: list[tuple[str, str]], body: bytes = b"", call_id: str = ""
    ) -> Request:
        self.cseq += 1
        number = next(self._numbers)
        to = to if to.startswith("<") else f"<{to}>"
        head = [
            ("Via", self._via()),
            ("Max-Forwards", "70"),
            ("From", f"<{self.aor}>;tag=f{self.remote[1]}n{number}"),
            ("To", to),
            ("Call-ID", call_id or f"{self.user}-{self.remote[1]}-{number}"),
            ("CSeq", f"{self.cseq} {method}"),
        ]
        return Request.create(method, uri, [*head, *fields], body)

    def _via(self) -> str:
        branch = f"z9hG4bK{self.remote[1]}x{next(self._numbers)}"
        return f"SIP/2.0/{self.kind.upper()} {self.remote[0]}:{self.remote[1]};branch={branch};rport"

    # ClientUser

    def response_received(self, client: ClientTransaction, response: Response, now: float) -> None:
        sent = self._of.get(client)
        if response.status < 200 or sent is None:
            return
        if response.status in (401, 407) and sent.tries < 4:
            del self._of[client]
            sent.tries += 1
            again = sent.request.copy()
            assert self._digest.exchange().answer(response), response.start_line
            self._digest.sign(again)
            self.cseq = max(self.cseq, again.cseq.number) + 1
            again.set("CSeq", f"{again.cseq.number + 1} {again.method}")
            again.replace_item("via", self._via())
            self._send(sent, again)
            return
        if sent.status is None:
            sent.status, sent.ended = response.status, now
        if client.method == "INVITE" and response.status < 300:
            self._acknowledge(sent, response)
        else:
            self._of.pop(client, None)

    def timed_out(self, client: ClientTransaction, now: float) -> None:
        sent = self._of.pop(client, None)
        if sent is not None and sent.ended is None:
            sent.ended = now

    def wire_failed(self, client: ClientTransaction, reason: str, now: float) -> None:
        self.timed_out(client, now)

    def _acknowledge(self, sent: Sent, response: Response) -> None:
        request = sent.request
        routes = list(reversed(response.items("record-route")))
        target = parse_name_address(response.items("contact")[0]).uri
        ack = self._request("ACK", target, f"{response.get('to')}", [], call_id=request.call_id)
        ack.set("From", f"{request.get('from')}")
        ack.set("CSeq", f"{request.cseq.number} ACK")
        for route in routes:
            ack.append("Route", route)
        self.wire.send(bytes(ack))
        if not any(dialog.remote == response.get("to") for dialog in self.dialogs):
            peer = parse_name_address(f"{request.get('to')}").uri
            self.dialogs.append(
                Dialog(request.call_id, f"{request.get('from')}", f"{response.get('to')}", target, routes, peer)
            )

    # In

    def receive(self, data: bytes) -> None:
        """Take one message."""
        now = self._now()
        try:
            message = parse_datagram(data)
            validate(message)
        except SipError as error:
            raise AssertionError(f"the edge has sent {data!r}") from error
        if isinstance(message, Response):
            self.transactions.receive_response(message, now)
        elif message.method == "ACK":
            if not self.transactions.receive_ack(message, now):
                self._oks = [ok for ok in self._oks if ok.response.get("call-id") != message.call_id]
        else:
            server = self.transactions.receive_request(message, self.wire, now)
            if server is not None:
                self._serve(message, server, now)

    def _serve(self, request: Request, server: ServerTransaction, now: float) -> None:
        status = 200
        match request.method:
            case "MESSAGE":
                self.seen.setdefault(request.body.decode(), []).append(request.via.branch)
                if self._random.random() < 0.1:
                    status = 486
            case "INVITE":
                server.respond(Response.to_request(request, 180, "Ringing", to_tag=self._tag()), now)
                if request.to.tag is None and self._random.random() < 0.3:
                    self.ringing.append(server)
                else:
                    self.answer(server, self._random.choice([200, 200, 200, 486, 603]))
                return
            case "CANCEL":
                self._cancelled(request, now)
            case "BYE":
                self.dialogs = [dialog for dialog in self.dialogs if dialog.call_id != request.call_id]
        server.respond(Response.to_request(request, status, "Answered", to_tag=self._tag()), now)

    def _cancelled(self, request: Request, now: float) -> None:
        invite = self.transactions.find_invite(request)
        if invite in self.ringing:
            self.ringing.remove(invite)
            self.answer(invite, 487)

    def answer(self, server: ServerTransaction, status: int) -> None:
        """Answer a call."""
        request, now = server.request, self._now()
        fields = [("Contact", f"<{self.contact}>")] if status == 200 else []
        fields += [("Record-Route", route) for route in request.items("record-route")]
        response = Response.to_request(request, status, "Answered", to_tag=self._tag(), fields=fields)
        server.respond(response, now)
        if status == 200:
            self._oks.append(Ok(server, response, now + 0.5, begun=now))
            peer = parse_name_address(f"{request.get('from')}")
            target = parse_name_address(request.items("contact")[0]).uri
            routes = request.items("record-route")
            remote = f"{request.get('from')}"
            self.dialogs.append(Dialog(request.call_id, f"{response.get('to')}", remote, target, routes, peer.uri))

    def _tag(self) -> str:
        return f"t{self.remote[1]}"

    # Time

    def tick(self, now: float) -> None:
        self.transactions.handle_timeout(now)
        for ok in self._oks:
            if ok.at <= now:
                ok.interval = min(4.0, 2 * ok.interval)
                ok.at = now + ok.interval
                ok.server.respond(ok.response, now)
        self._oks = [ok for ok in self._oks if now - ok.begun < 32]

    def connect(self, wire: DeviceWire) -> None:
        """Use another wire from now on."""
        old, self.wire = self.wire, wire
        self.transactions.wire_lost(old, "lost", self._now())
