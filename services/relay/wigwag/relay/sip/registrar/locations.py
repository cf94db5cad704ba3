"""Where users are registered, as this pod knows it: a cache in front of the store (RFC 3261 section 16.5)."""

import asyncio
from collections.abc import Callable, Collection
from math import inf
from typing import Final

from wigwag.protocols.sip import SipError
from wigwag.relay.sip.ports import Later
from wigwag.store import Binding, Gap, Registration, RegistrationChanged, Store, StoreError

LIFETIME: Final = 30.0
"""Seconds for which an entry is believed, in case that a notice of its change was lost."""
REFILLED: Final = 10.0
"""Seconds after a gap in the notices within which pods write again what the store may have lost."""
MOST: Final = 100_000
"""Entries; the oldest goes when there are more."""


class Locations:
    """Looks up bindings; what was found is believed until a notice, or for ``LIFETIME``.

    While the store is away, what was known last goes on to be used until the bindings expire; so does what a store that
    was away knows nothing of, since it may have come back empty. (What is removed, the store remembers for a while.)

    Args:
        store: The store.
        now: Seconds, monotonic.
        wall: The store's clock.
    """

    def __init__(self, store: Store, now: Callable[[], float], wall: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._wall = wall
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
        known = self._known.get(aor)
        if known is not None and known[0] > self._now() and known[2] > self._wall():
            return known[1]
        return self._look_up(aor)

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
            self._refilled_at = self._now() + REFILLED
            self._overtaken.update(self._running)
            self._known = {aor: (0.0, registration, 0.0) for aor, (_, registration, _) in self._known.items()}
            return
        if notice.aor in self._running:
            self._overtaken.add(notice.aor)
        known = self._known.get(notice.aor)
        if known is not None and known[1].version < notice.version:
            # It is not forgotten: should the store go away now, the old bindings are better than none.
            self._known[notice.aor] = (0.0, known[1], 0.0)

    async def _look_up(self, aor: str) -> Registration:
        running = self._running.get(aor)
        if running is None:
            running = self._running[aor] = asyncio.ensure_future(self._ask(aor))
            running.add_done_callback(lambda done: self._asked(aor, done))
        return await asyncio.shield(running)

    async def _ask(self, aor: str) -> Registration:
        try:
            found = (await self._store.find_registrations([aor])).get(aor)
        except StoreError as error:
            return self._last_known(aor, error)
        if found is None and self._now() < self._refilled_at and self.peek(aor):
            return self._last_known(aor, None)
        registration = found or Registration(aor, (), 0)
        if aor not in self._overtaken:
            self._keep(registration)
        return registration

    def _asked(self, aor: str, done: "asyncio.Future[Registration]") -> None:
        del self._running[aor]
        self._overtaken.discard(aor)
        if not done.cancelled():
            done.exception()  # Whoever waited has it; that nobody did is no error.

    def _last_known(self, aor: str, error: StoreError | None) -> Registration:
        known = self._known.get(aor)
        if known is None:
            raise SipError("Registrations Are Not Available", status=503, headers=(("Retry-After", "5"),)) from error
        registration, wall = known[1], self._wall()
        bindings = tuple(binding for binding in registration.bindings if binding.expires_at > wall)
        return Registration(aor, bindings, registration.version)

    def _keep(self, registration: Registration) -> None:
        known = self._known
        known.pop(registration.aor, None)
        if len(known) >= MOST:
            del known[next(iter(known))]
        first = min((binding.expires_at for binding in registration.bindings), default=inf)
        known[registration.aor] = (self._now() + LIFETIME, registration, first)
