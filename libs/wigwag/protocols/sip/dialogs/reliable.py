"""Provisional responses that arrive (RFC 3262): RSeq and RAck, on both sides."""

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from wigwag.protocols.sip.errors import SipError
from wigwag.protocols.sip.message import Request, Response
from wigwag.protocols.sip.values import CSeq, parse_cseq, parse_number

from .alarms import Alarm, Alarms

if TYPE_CHECKING:
    from wigwag.protocols.sip.transactions import ServerTransaction

_LARGEST_RSEQ: Final = (1 << 32) - 1
_FIRST_RSEQ: Final = (1 << 31) - 1
"""The first RSeq is from 1 to this (section 3)."""
# RAck = "RAck" HCOLON response-num LWS CSeq-num LWS Method
_RACK: Final = re.compile(r"([0-9]++)[ \t]++(.*+)")


class RAck(NamedTuple):
    """Which provisional response a PRACK is about."""

    rseq: int
    cseq: CSeq

    @classmethod
    def parse(cls, value: str | None) -> "RAck":
        """Read a RAck value; SipError if it is missing or malformed."""
        match = _RACK.fullmatch(value or "")
        if match is None:
            raise SipError("RAck is missing or malformed")
        return cls(parse_number("RAck", match[1], _LARGEST_RSEQ), parse_cseq(match[2]))

    def __str__(self) -> str:
        """As it stands in a PRACK."""
        return f"{self.rseq} {self.cseq.number} {self.cseq.method}"


def is_reliable(response: Response) -> bool:
    """Tell whether a response wants a PRACK: 101 to 199 with Require: 100rel and RSeq."""
    return 100 < response.status < 200 and supports(response, "require", "100rel") and "rseq" in response


def supports(message: Request | Response, field: str, option: str) -> bool:
    """Tell whether an option tag stands in Supported or Require."""
    try:
        return option in [item.lower() for item in message.items(field)]
    except SipError:
        return False


class ReliableReceiver:
    """The UAC's order of reliable responses within one early dialog (section 4)."""

    def __init__(self) -> None:
        self._last: RAck | None = None

    def receive(self, response: Response) -> RAck | None:
        """Return what the PRACK has to say; None: the response came before, or one before it is missing.

        Raises:
            SipError: RSeq is malformed.
        """
        rseq = response.number("rseq", _LARGEST_RSEQ) or 0
        last = self._last
        if last is not None and last.cseq == response.cseq and rseq != last.rseq + 1:
            return None
        self._last = RAck(rseq, response.cseq)
        return self._last


@dataclass(slots=True)
class _Reliable:
    response: Response
    rack: RAck
    interval: float
    give_up: float


class ReliableSender:
    """The UAS's reliable responses to one INVITE (section 3): one at a time, each sent again until its PRACK.

    Args:
        server: The transaction of the INVITE.
        alarms: Of the user agent.
        t1: Seconds of the first interval; they double, and 64 of it are the end.
        first: The first RSeq is drawn from this.
        failed: Told that no PRACK came: the INVITE is to be refused.
    """

    def __init__(
        self,
        server: "ServerTransaction",
        alarms: Alarms,
        t1: float,
        first: int,
        failed: Callable[[float], None],
    ) -> None:
        self._server = server
        self._alarms = alarms
        self._t1 = t1
        self._rseq = first % _FIRST_RSEQ
        self._failed = failed
        self._waiting: deque[_Reliable] = deque()
        self._alarm: Alarm | None = None

    @property
    def idle(self) -> bool:
        """Whether every response has its PRACK."""
        return not self._waiting

    def send(self, response: Response, now: float) -> None:
        """Send a response reliably, as soon as the one before has its PRACK."""
        self._rseq += 1
        response.append("Require", "100rel")
        response.append("RSeq", str(self._rseq))
        entry = _Reliable(response, RAck(self._rseq, response.cseq), self._t1, 0.0)
        self._waiting.append(entry)
        if len(self._waiting) == 1:
            self._begin(now)

    def acknowledge(self, rack: RAck, now: float) -> bool:
        """Take a PRACK; tells whether it was for the response that is being sent. False: 481."""
        if not self._waiting or self._waiting[0].rack != rack:
            return False
        self._waiting.popleft()
        self._call_off()
        if self._waiting:
            self._begin(now)
        return True

    def stop(self) -> None:
        """Send nothing more: the INVITE has its final response."""
        self._call_off()
        self._waiting.clear()

    def _begin(self, now: float) -> None:
        self._waiting[0].give_up = now + 64 * self._t1
        self._transmit(now)

    def _transmit(self, now: float) -> None:
        current = self._waiting[0]
        # Before it is sent: who takes it may answer at once.
        self._alarm = self._alarms.set(min(now + current.interval, current.give_up), self._again)
        current.interval *= 2
        self._server.respond(current.response, now)

    def _again(self, now: float) -> None:
        if now < self._waiting[0].give_up:
            self._transmit(now)
            return
        self.stop()
        self._failed(now)

    def _call_off(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
