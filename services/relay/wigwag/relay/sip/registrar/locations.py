"""Where users are registered, as this pod knows it: a cache in front of the store (RFC 3261 section 16.5)."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from math import inf
from typing import Final

from wigwag.protocols.sip import SipError
from wigwag.relay.sip.ports import Later
from wigwag.store import Binding, Gap, Registration, RegistrationChanged, Store, StoreError

LIFETIME: Final = 30.0
"""Seconds for which an entry is believed, in case that a notice of its change was lost."""
REFILLED: Final = 10.0
"""Seconds within which pods write again what the store has lost."""
AWAY: Final = 3.0
"""Seconds for which a look-up waits for a store that is away: it may only be restarted."""
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 0.5
"""Seconds between two look-ups of the same user; twice as many after each."""
MOST: Final = 100_000
"""Entries; the oldest goes when there are more."""


class Locations:
    """Looks up bindings; what was found is believed until a notice, or for ``LIFETIME``.

    While the store is away, what was known last goes on to be used until the bindings expire. When nothing is known,
    the look-up waits for it, though not for long.

    A store that came back empty knows nothing of users until the pods have written again what is their own, which they
    begin only when they notice. So for ``REFILLED`` seconds absence proves nothing: what was known last is used, and
    when nothing is, the look-up waits until the user is found or that time is over. The store tells how long it has
    held what it holds: a notice of its loss comes too late, and not at all to a pod that starts then.

    Args:
        store: The store.
        now: Seconds, monotonic.
        wall: The store's clock.
        sleep: Lets seconds pass.
    """

    def __init__(
        self,
        store: Store,
        now: Callable[[], float],
        wall: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._store = store
        self._now = now
        self._wall = wall
        self._sleep = sleep
        self._known: dict[str, tuple[float, Registration, float]] = {}
        """By AOR: until when it is believed, what is registered, and when the first binding expires."""
        self._running: dict[str, asyncio.Future[Registration]] = {}
        self._overtaken: set[str] = set()
        """AORs that changed while they were looked up."""
        self._refilled_at = -inf

    def find(self, aor: str) -> "Registration | Later[Registration]":
        """Return the user's bindings that have not expired; at once when they are known.

        Raises:
            SipError: 503: the store is away and nothing is known (from the coroutine).
        """
        return self.at_hand(aor) or self._look_up(aor)

    def at_hand(self, aor: str) -> Registration | None:
        """Return the user's bindings that have not expired, the same object while nothing changes; None: not known."""
        known = self._known.get(aor)
        if known is not None and known[0] > self._now() and known[2] > self._wall():
            return known[1]
        return None

    def put(self, registration: Registration) -> None:
        """Take what was just registered here."""
        if registration.aor in self._running:
            self._overtaken.add(registration.aor)
        known = self._known.get(registration.aor)
        if known is None or known[1].version <= registration.version:
            self._keep(registration)

    def peek(self, aor: str) -> tuple[Binding, ...]:
        """Return the user's bindings as they were known last, however long that is ago."""
        known = self._known.get(aor)
        return known[1].bindings if known is not None else ()

    def forget(self, aor: str) -> None:
        """What is known of a user holds no more, except while the store is away."""
        if aor in self._running:
            self._overtaken.add(aor)
        known = self._known.get(aor)
        if known is not None:
            self._known[aor] = (0.0, known[1], 0.0)

    def removed(self, aor: str, keys: Collection[str]) -> None:
        """Bindings were removed for good: a store that knows nothing of them has not lost them."""
        self.forget(aor)
        known = self._known.get(aor)
        if known is not None:
            bindings = tuple(binding for binding in known[1].bindings if binding.key not in keys)
            self._known[aor] = (0.0, Registration(aor, bindings, known[1].version), 0.0)

    def changed(self, notice: RegistrationChanged | Gap) -> None:
        """Another pod has changed something, or may have."""
        if isinstance(notice, Gap):
            self._overtaken.update(self._running)
            self._known = {aor: (0.0, registration, 0.0) for aor, (_, registration, _) in self._known.items()}
            return
        if notice.aor in self._running:
            self._overtaken.add(notice.aor)
        known = self._known.get(notice.aor)
        if known is not None and known[1].version < notice.version:
            # It is not forgotten: should the store go away now, the old bindings are better than none.
            self._known[notice.aor] = (0.0, known[1], 0.0)

    def emptied(self) -> None:
        """The store has lost what it held, or another one answers that never had it."""
        self._refilled_at = self._now() + REFILLED
        self.changed(Gap())

    async def _look_up(self, aor: str) -> Registration:
        running = self._running.get(aor)
        if running is None:
            running = self._running[aor] = asyncio.ensure_future(self._ask(aor))
            running.add_done_callback(lambda done: self._asked(aor, done))
        return await asyncio.shield(running)

    async def _ask(self, aor: str) -> Registration:
        """Look until it is known where the user is, or that he is nowhere.

        Raises:
            SipError: 503: the store is away for too long and nothing is known.
        """
        waited, pause = 0.0, _FIRST_PAUSE
        while True:
            try:
                registration = await self._look(aor)
            except StoreError as error:
                registration = self._last_known(aor)
                if registration is None and waited >= AWAY:
                    reason = "Registrations Are Not Available"
                    raise SipError(reason, status=503, headers=(("Retry-After", "5"),)) from error
            if registration is not None:
                return registration
            await self._sleep(pause)
            waited, pause = waited + pause, min(2 * pause, _LONGEST_PAUSE)

    async def _look(self, aor: str) -> Registration | None:
        """Look once; None: he may be registered, by a pod that has not written that again.

        Raises:
            StoreError: The store is away.
        """
        self._overtaken.discard(aor)
        found = (await self._store.find_registrations([aor])).get(aor)
        if found is None and not await self._is_complete(aor):
            last = self._last_known(aor)
            return last if last is not None and last.bindings else None
        registration = found or Registration(aor, (), 0)
        if aor not in self._overtaken:
            self._keep(registration)
        return registration

    async def _is_complete(self, aor: str) -> bool:
        """Tell whether what the store does not know of is nowhere; asked afterwards, of that very server."""
        return self._now() >= self._refilled_at and await self._store.held_for(aor) >= REFILLED

    def _asked(self, aor: str, done: "asyncio.Future[Registration]") -> None:
        del self._running[aor]
        self._overtaken.discard(aor)
        if not done.cancelled():
            done.exception()  # Whoever waited has it; that nobody did is no error.

    def _last_known(self, aor: str) -> Registration | None:
        """Return what holds of what was known last; None: nothing was, or all of it was to be refreshed meanwhile."""
        known = self._known.get(aor)
        if known is None:
            return None
        registration, wall = known[1], self._wall()
        bindings = tuple(binding for binding in registration.bindings if binding.expires_at > wall)
        if registration.bindings and not bindings:
            return None
        return Registration(aor, bindings, registration.version)

    def _keep(self, registration: Registration) -> None:
        known = self._known
        known.pop(registration.aor, None)
        if len(known) >= MOST:
            del known[next(iter(known))]
        first = min((binding.expires_at for binding in registration.bindings), default=inf)
        known[registration.aor] = (self._now() + LIFETIME, registration, first)
