"""What goes to the peer within a dialog: requests, and the ACKs of its 2xx (RFC 3261 sections 12.2.1, 13.2.2.4)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from wigwag.protocols.sip.message import Request, Response
from wigwag.protocols.sip.user_agent import Exchange, ExchangeUser, Way, branch_of

from .bodies import Body
from .dialog import Dialog

if TYPE_CHECKING:
    from .registry import Registry

Done = Callable[[Response, float], None]
"""Told the final response, perhaps our own 408 or 503, and the time."""
Fields = tuple[tuple[str, str], ...]
_ACKS_KEPT: Final = 4
"""ACKs that are kept for 2xx which come again: re-INVITEs follow one another."""
_CREDENTIALS: Final = ("authorization", "proxy-authorization")


class Channel:
    """The sending side of one dialog.

    Args:
        registry: What all sessions share.
        dialog: The dialog.
        way: By which requests go; may be set anew when there is another.
    """

    def __init__(self, registry: "Registry", dialog: Dialog, way: Way) -> None:
        self.registry = registry
        self.dialog = dialog
        self.way = way
        self._acks: dict[int, bytes] = {}

    @property
    def contact(self) -> tuple[str, str]:
        """Our Contact field."""
        return "Contact", f"<{self.dialog.local_target}>"

    def exchange(self, method: str, user: ExchangeUser, fields: Fields = (), body: Body | None = None) -> Exchange:
        """Return a request within the dialog that has not been sent."""
        made = self.dialog.request(method, (*fields, ("User-Agent", self.registry.options.software)), body)
        return self.registry.client.exchange(made, self.way, self.dialog.next_cseq, user)

    def acknowledge(self, invite: Request, body: Body | None) -> None:
        """Send the ACK of a 2xx, with the credentials of its INVITE; kept for when the 2xx comes again."""
        number = invite.cseq.number
        proofs = [(name.title(), value) for name in _CREDENTIALS for value in invite.get_all(name)]
        ack = self.dialog.request("ACK", tuple(proofs), body, number)
        ack.insert("Via", self.way.via(branch_of(ack)))
        self._acks[number] = bytes(ack)
        while len(self._acks) > _ACKS_KEPT:
            del self._acks[next(iter(self._acks))]
        self.way.wire.send(self._acks[number])

    def has_acknowledged(self, invite: Request) -> bool:
        """Tell whether an ACK was sent for this INVITE."""
        return invite.cseq.number in self._acks

    def acknowledge_again(self, invite: Request) -> None:
        """Send the ACK of a 2xx that came again, if it has been sent."""
        ack = self._acks.get(invite.cseq.number)
        if ack is not None:
            self.way.wire.send(ack)


class Told:
    """The user of a request whose final response one function is told."""

    def __init__(self, done: Done) -> None:
        self._done = done

    def provisional(self, exchange: Exchange, response: Response, now: float) -> None:
        """Let it pass."""

    def answered(self, exchange: Exchange, response: Response, now: float) -> None:
        """Tell."""
        self._done(response, now)
