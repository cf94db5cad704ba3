"""Session timers: who refreshes a session, and when it is over (RFC 4028)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from wigwag.protocols.sip.errors import SipError
from wigwag.protocols.sip.message import Request, Response
from wigwag.protocols.sip.parameters import parse_parameters
from wigwag.protocols.sip.values import parse_number

from .alarms import Alarm, Alarms
from .reliable import supports

SMALLEST: Final = 90
"""Seconds below which no session interval may be (section 5)."""
_LARGEST: Final = (1 << 32) - 1
Refresher = Literal["uac", "uas"]
Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SessionExpires:
    """The Session-Expires field (section 4)."""

    interval: int
    """Seconds."""
    refresher: Refresher | None = None
    """By the roles in the transaction that it stands in."""

    @classmethod
    def of(cls, message: Request | Response) -> "SessionExpires | None":
        """Return what a message has; SipError if it is malformed."""
        value = message.get("session-expires")
        if value is None:
            return None
        number, semicolon, rest = value.partition(";")
        interval = parse_number("Session-Expires", number.strip(), _LARGEST)
        refresher = (parse_parameters(semicolon + rest, "Session-Expires").get("refresher") or "").lower()
        return cls(interval, "uac" if refresher == "uac" else "uas" if refresher == "uas" else None)

    def __str__(self) -> str:
        """As it stands in a message."""
        return f"{self.interval};refresher={self.refresher}" if self.refresher else str(self.interval)


class SessionInterval:
    """What we ask for in session refresh requests (section 7).

    Args:
        wanted: Seconds of the interval; 0: we don't ask.
        min_se: Seconds of the shortest that we take, at least 90.

    Attributes:
        interval: Seconds agreed on; 0: no timer runs.
        refresher: Whether it is on us to refresh.
    """

    def __init__(self, wanted: int, min_se: int) -> None:
        self._wanted = wanted
        self._min_se = self._least = max(min_se, SMALLEST)
        self.interval = 0
        self.refresher = False

    def request_fields(self) -> Fields:
        """Return what stands in a session refresh request of ours (sections 7.1, 7.4)."""
        interval = self.interval or self._wanted
        if not interval:
            return ()
        role: Refresher | None = None if not self.interval else "uac" if self.refresher else "uas"
        asked = SessionExpires(max(interval, self._least), role)
        least = (("Min-SE", str(self._least)),) if self._least > SMALLEST else ()
        return ("Session-Expires", str(asked)), *least

    def too_small(self, refusal: Response) -> bool:
        """Take a 422; tells whether to ask again, for the interval that it wants (section 7.3)."""
        try:
            least = refusal.number("min-se")
        except SipError:
            return False
        if least is None or least <= self._least:
            return False
        self._least = least
        if self.interval:
            self.interval = max(self.interval, least)
        return True


class SessionTimer(SessionInterval):
    """The timer of one session.

    Args:
        alarms: Of the user agent.
        wanted: Seconds of the interval that we ask for; 0: we don't ask.
        min_se: Seconds of the shortest that we take, at least 90.
        refresh: Told that it is time to refresh.
        expire: Told that the session is to be ended.
    """

    def __init__(
        self,
        alarms: Alarms,
        *,
        wanted: int,
        min_se: int,
        refresh: Callable[[float], None],
        expire: Callable[[float], None],
    ) -> None:
        super().__init__(wanted, min_se)
        self._alarms = alarms
        self._refresh = refresh
        self._expire = expire
        self._running: list[Alarm] = []
        self._expires_at = 0.0

    # As UAC

    def answered(self, success: Response, now: float) -> None:
        """Take the 2xx to a session refresh request (section 7.2). Without Session-Expires the session is unbounded."""
        try:
            agreed = SessionExpires.of(success)
        except SipError:
            agreed = None
        if agreed is None:
            self.stop()
            self.interval = 0
            return
        # What is shorter than anybody may ask for would have us do nothing but refresh.
        self.start(max(agreed.interval, SMALLEST), refresher=agreed.refresher != "uas", now=now)

    # As UAS

    def check(self, request: Request) -> None:
        """Look at a session refresh request (section 9).

        Raises:
            SipError: 422: its interval is too small, and it supports timers; 400: it is malformed.
        """
        asked = SessionExpires.of(request)
        request.number("min-se")
        if asked is not None and asked.interval < self._min_se and supports(request, "supported", "timer"):
            raise SipError("Session Interval Too Small", status=422, headers=(("Min-SE", str(self._min_se)),))

    def answer(self, request: Request, now: float) -> Fields:
        """Return what stands in our 2xx to a session refresh request, and start the timer (section 9)."""
        asked = SessionExpires.of(request)
        supported = supports(request, "supported", "timer")
        if asked is None and not self._wanted:
            self.stop()
            self.interval = 0
            return ()
        least = max(request.number("min-se") or 0, self._min_se)
        interval = max(self._wanted, least) if asked is None else max(asked.interval, SMALLEST)
        # Table 2: one that does not know timers can't be made to refresh.
        role: Refresher = ((asked and asked.refresher) or "uac") if supported else "uas"
        self.start(interval, refresher=role == "uas", now=now)
        fields = (("Session-Expires", str(SessionExpires(interval, role))),)
        return (*fields, ("Require", "timer")) if supported else fields

    # Time

    def start(self, interval: int, *, refresher: bool, now: float) -> None:
        """Begin an interval (section 10)."""
        self.stop()
        self.interval, self.refresher = interval, refresher
        self._expires_at = now + interval - min(32.0, interval / 3)
        self._running = [self._alarms.set(self._expires_at, self._expire)]
        if refresher:
            self._running.append(self._alarms.set(now + interval / 2, self._refresh))

    def refresh_failed(self, now: float) -> None:
        """Try again in half of the time that is left, as long as there is time for it."""
        left = self._expires_at - now
        if self._running and left > 4.0:
            self._running.append(self._alarms.set(now + left / 2, self._refresh))

    def stop(self) -> None:
        """Let it end: another interval begins, or the session is over."""
        for alarm in self._running:
            alarm.cancel()
        self._running = []
