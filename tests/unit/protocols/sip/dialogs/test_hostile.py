"""Whatever a peer sends within and without dialogs is answered or dropped: never an error of ours, never left over."""

import random
from contextlib import suppress

import hypothesis.strategies as st
from hypothesis import given, settings

from tests.support.sip_dialogs import ANSWER, OFFER, World, call
from wigwag.errors import LocalProtocolError
from wigwag.protocols.sip import Request, Response, SipError, parse_datagram, validate
from wigwag.protocols.sip.dialogs import InviteReceived, OfferReceived, OfferRequested, RequestReceived

VALUES = {
    "Contact": ["<sip:x@bob.test>", "<sip:", "*", "<tel:+1>", "<sip:a@bob.test?x=y>", '"\\\x01" <sip:a@bob.test>'],
    "Record-Route": ["<sip:bob.test;lr>", "<sip:bob.test>", "<sip:", '"\\\x02" <sip:bob.test;lr>;x="\\\x03"'],
    "RSeq": ["0", "1", "4294967295", "99999999999", "x", ""],
    "RAck": ["1 1 INVITE", "x", "4294967296 1 INVITE", "1 99999999999 INVITE", ""],
    "CSeq": ["0 {}", "1 {}", "2147483647 {}", "2147483648 {}", "5 OTHER"],
    "Session-Expires": ["1", "90", "4294967295;refresher=uas", "99999999999", "x", "90;refresher=\"\\\x01\""],
    "Min-SE": ["0", "4294967295", "99999999999999", "x"],
    "Require": ["100rel", "timer", "foo", "100rel, 100rel", '"\\\x01"'],
    "Supported": ["", "100rel", "timer, 100rel"],
    "Allow": ["", "UPDATE", '"'],
    "Expires": ["0", "1", "4294967295"],
    "Content-Type": ["text/plain", "multipart/mixed", 'multipart/mixed;boundary="x"', "application/sdp"],
    "To": ["<sip:bob@bob.test>", "<sip:bob@bob.test>;tag=x", '"\\\x01" <sip:bob@bob.test>;tag="\\\x01"', "<tel:+1>"],
    "From": ["<sip:alice@alice.test>", "<sip:alice@alice.test>;tag=x", '<sip:alice@alice.test>;tag=a;p="\\\x01"'],
    "Call-ID": ["x", "\\\x01"],
    "WWW-Authenticate": ['Digest realm="r", nonce="n"', "Digest", "x"],
}  # fmt: skip
STATUSES = [100, 180, 183, 199, 200, 202, 299, 302, 401, 407, 408, 422, 481, 491, 500, 603]
METHODS = ["INVITE", "ACK", "CANCEL", "BYE", "PRACK", "UPDATE", "INFO", "MESSAGE", "SUBSCRIBE", "FOO"]


class Attack:
    """A call in which everything that was ever sent comes again, changed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.world = World()
        self.alice = self.world.agent("alice", session_expires=100)
        self.bob = self.world.agent("bob", session_expires=100)
        for agent in (self.alice, self.bob):
            agent.on_event = self._hear
        self.world.lost = lambda message: self.world.sent().count("INVITE") > 50 or self.chance.random() < 0.1
        self.client = call(self.alice, offer=self.chance.choice((OFFER, None)), reliable=self.chance.random() < 0.5)

    def _hear(self, event: object) -> None:
        """Do something that fits, mostly."""
        now, chance = self.world.now, self.chance
        if isinstance(event, OfferReceived | OfferRequested) and chance.random() < 0.8:
            event.session.answer(ANSWER, now)
        elif isinstance(event, RequestReceived) and chance.random() < 0.8:
            event.request.respond(200, "OK", now)
        elif isinstance(event, InviteReceived):
            self._take(event, chance.random())

    def _take(self, event: InviteReceived, what: float) -> None:
        now = self.world.now
        if what < 0.6:
            with suppress(LocalProtocolError):
                event.invite.ring(now, 183, "So", description=ANSWER if what < 0.2 else None, reliable=what < 0.3)
        if 0.1 < what < 0.8:
            event.invite.accept(now, None if event.invite.described else ANSWER)

    def send(self) -> None:
        _, sender, message = self.chance.choice(self.world.log)
        changed = self._readable(message)
        if changed is not None:
            (self.bob if sender == "alice" else self.alice).take(changed, self.world.now)
        self.world.run(self.chance.choice((0.0, 0.0, 0.1, 1.0, 5.0, 40.0)))

    def _changed(self, message: Request | Response) -> Request | Response:
        chance = self.chance
        for _ in range(chance.randint(0, 3)):
            name = chance.choice(list(VALUES))
            if chance.random() < 0.2:
                message.remove(name)
            else:
                method = message.method if isinstance(message, Request) else "INVITE"
                message.set(name, chance.choice(VALUES[name]).format(method))
        if isinstance(message, Request):
            self._change_request(message)
        elif chance.random() < 0.5:
            message.start_line = f"SIP/2.0 {chance.choice(STATUSES)} So"
        if chance.random() < 0.2:
            message.set_body(chance.choice((b"", b"x", OFFER, b"--x\r\n\r\n--x--")))
        return message

    def _change_request(self, message: Request) -> None:
        if self.chance.random() < 0.4:
            method = self.chance.choice(METHODS)
            message.start_line = f"{method} {message.uri} SIP/2.0"
            message.set("CSeq", f"{message.cseq.number + self.chance.randint(-1, 3)} {method}")
        if self.chance.random() < 0.7:
            message.replace_item("via", f"{message.via};x={self.chance.random()}".replace("z9hG4bK", "z9hG4bKx", 1))

    def _readable(self, message: Request | Response) -> Request | Response | None:
        """Return the message changed; None: it can't be written, or would not have come this far."""
        try:
            changed = parse_datagram(bytes(self._changed(message.copy())))
            validate(changed)
        except (SipError, LocalProtocolError):
            return None
        return changed

    def end(self) -> None:
        self.client.cancel(self.world.now)
        for agent in (self.alice, self.bob):
            for session in list(agent.dialogs.sessions.values()):
                if session.invite is not None:
                    session.invite.reject(self.world.now)
                with suppress(LocalProtocolError):
                    session.hang_up(self.world.now)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 1 << 32))
def test_hostile_messages_are_answered_or_dropped(seed: int) -> None:
    attack = Attack(seed)
    for _ in range(40):
        attack.send()
    attack.end()
    attack.world.lost = lambda message: True
    attack.world.run(400.0)
    attack.end()
    attack.world.run(400.0)
    for agent in (attack.alice, attack.bob):
        assert not agent.transactions.clients
        assert not agent.transactions.servers
        assert not agent.dialogs.invites
