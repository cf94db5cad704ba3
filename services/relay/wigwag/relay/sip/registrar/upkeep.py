"""Looks after bindings in the background: lost connections, expiry, a store that has lost them, pods that died.

Theory of operation. Nothing here is waited for by a request. What is to be done is kept in sets, so that the same thing
asked twice is done once, and done in small batches: when thousands of connections go at once, or the store comes back
empty, the rest of the pod goes on. While the store is away everything stays to be done.

What a pod that died has written and needs no connection of its own (UDP, contacts that are reached by their URI) stays
valid, so the pod that clears after it *inherits* it, as its writer from then on: when the store has lost it somebody
writes it again, and somebody tells of its expiry.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import structlog

from wigwag.relay.sip.flows.flow import StreamFlow
from wigwag.store import Binding, Registration, Store, StoreError
from wigwag.store import Flow as StoredFlow

from .contacts import reached_by_uri
from .events import RegistrationChange, RegistrationEvents
from .own_bindings import OwnBindings

if TYPE_CHECKING:
    from .locations import Locations

BATCH: Final = 200
"""Bindings that are looked at in one turn."""
AT_ONCE: Final = 20
"""Operations of the store that run at once."""
TURN: Final = 0.1
"""Seconds between two turns while there is more to do."""
RETRY: Final = 1.0
"""Seconds until a store that is away is tried again."""

_NOBODY: Final = "sip:nobody"
"""Is looked for to see whether the store answers."""

logger = structlog.get_logger("wigwag.relay.sip")


class Upkeep:
    """Looks after this pod's bindings.

    Args:
        own: Which they are.
        store: Where they are.
        locations: Is told what goes.
        events: Likewise.
        trusts: Tells whether a flow is a neighbour's.
        wall: The store's clock.

    Attributes:
        failures: How often the store could not be reached.
        away: Why it can't be reached now; empty: it can.
    """

    def __init__(
        self,
        own: OwnBindings,
        *,
        store: Store,
        locations: "Locations",
        events: RegistrationEvents,
        trusts: Callable[[StoredFlow], bool],
        wall: Callable[[], float],
    ) -> None:
        self.failures = 0
        self.away = ""
        self._own = own
        self._store = store
        self._locations = locations
        self._events = events
        self._trusts = trusts
        self._wall = wall
        self._lost: dict[tuple[str, str], Binding] = {}
        self._doubtful: set[str] = set()
        self._unwritten: dict[tuple[str, str], Binding] = {}
        self._left_behind: dict[tuple[str, str], str] = {}
        """Who wrote the bindings whose connections died with their pods."""
        self._remaining: dict[str, dict[str, str]] = {}
        """Those of them that stay without a connection, by AOR and key."""
        self._more = asyncio.Event()
        self._less = asyncio.Event()

    # What is to be done

    def flow_closed(self, flow: StreamFlow) -> None:
        """A connection is gone, and what was bound to it (RFC 5626 section 7)."""
        for aor, key in flow.bindings:
            binding = self._own.get(aor, key)
            if binding is not None and binding.flow is not None and binding.flow.connection == flow.connection:
                self.flow_lost(aor, binding)
        flow.bindings.clear()

    def flow_lost(self, aor: str, binding: Binding) -> None:
        """A binding's connection is gone."""
        self._lost[aor, binding.key] = binding
        self._more.set()

    def doubt(self, aor: str) -> None:
        """Another pod has changed a user's bindings: those of ours may be ours no more."""
        if self._own.of(aor):
            self._doubtful.add(aor)
            self._more.set()

    def write_again(self) -> None:
        """The store may have lost what this pod wrote."""
        self._unwritten = {(aor, binding.key): binding for aor, binding in self._own}
        if self._unwritten:
            self._more.set()

    def store_failed(self, reason: str) -> None:
        """A REGISTER could not be carried out: the store is asked from time to time until it answers."""
        self.failures += 1
        self.away = reason
        self._more.set()

    @property
    def waiting(self) -> int:
        """Bindings that something is to be done with."""
        return len(self._lost) + len(self._doubtful) + len(self._unwritten)

    # Doing it

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                async with asyncio.timeout(1.0):
                    await self._more.wait()
            except TimeoutError:
                pass
            await asyncio.sleep(TURN if await self.turn() else RETRY)

    async def turn(self) -> bool:
        """Do one batch of everything that is to be done; False: the store is away."""
        try:
            if self.away:
                await self._store.find_registrations([_NOBODY])
            await self._write_some()
            await self._drop_some()
            await self._look_at_some()
            await self._expire_some()
        except StoreError as error:
            self.store_failed(str(error) or "the store is away")
            logger.debug("registrations can't be looked after", reason=str(error))
            return False
        self.away = ""
        if not self.waiting:
            self._more.clear()
        return True

    async def flush(self, seconds: float) -> None:
        """Let go what connections have left behind, when the process ends; gives up after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                while self._lost and await self.turn():
                    pass
        except TimeoutError:
            pass

    async def _write_some(self) -> None:
        names = list(self._unwritten)[:BATCH]
        if not names:
            return
        # Taken out first: what is to be written again while this goes on is to be written once more.
        taken = {name: self._unwritten.pop(name) for name in names}
        held = [(aor, self._own.get(aor, key)) for aor, key in names]
        ours = [(aor, binding) for aor, binding in held if binding is not None]
        try:
            outdated = await self._store.put_registrations(ours)
        except StoreError:
            self._unwritten = taken | self._unwritten
            raise
        for aor, binding in outdated:
            self._locations.forget(aor)
            if self._own.get(aor, binding.key) == binding:
                self._own.release(aor, binding.key)

    async def _dropped(self) -> None:
        """Wait until some of what was lost has been dropped, by ``run``."""
        self._less.clear()
        await self._less.wait()

    async def _drop_some(self) -> None:
        names = list(self._lost)[:BATCH]
        for start in range(0, len(names), AT_ONCE):
            some = names[start : start + AT_ONCE]
            results = await asyncio.gather(*map(self._drop, some), return_exceptions=True)
            for result in results:
                if isinstance(result, BaseException):
                    raise result
        self._less.set()

    async def _drop(self, name: tuple[str, str]) -> None:
        aor, key = name
        binding = self._lost[name]
        assert binding.flow is not None
        trusted = self._trusts(binding.flow)
        woken = bool(binding.push) and (trusted or not binding.path)
        remains = woken or reached_by_uri(binding, trusted=trusted)
        was_there = await self._store.drop_flow(aor, key, binding.flow, remove=not remains)
        if self._lost.get(name) is binding:
            del self._lost[name]
        writer = self._left_behind.pop(name, "")
        if not was_there:
            return
        held = self._own.get(aor, key)
        if held is not None and held.flow == binding.flow and not remains:
            self._own.release(aor, key)
        self._locations.forget(aor)
        self._events.changed(RegistrationChange.FLOW_LOST, aor, binding, "kept" if remains else "removed")
        if remains:
            self._doubtful.add(aor)
        if remains and writer:
            self._remaining.setdefault(aor, {})[key] = writer

    async def _look_at_some(self) -> None:
        aors = list(self._doubtful)[:BATCH]
        if not aors:
            return
        self._doubtful.difference_update(aors)
        try:
            found = await self._store.find_registrations(aors)
        except StoreError:
            self._doubtful.update(aors)
            raise
        for aor in aors:
            self._compare(aor, found.get(aor))

    def _compare(self, aor: str, registration: Registration | None) -> None:
        there = {binding.key: binding for binding in registration.bindings} if registration is not None else {}
        for key, writer in self._remaining.pop(aor, {}).items():
            if key in there and there[key].writer == writer:
                self._inherit(aor, there[key])
        wall = self._wall()
        for binding in self._own.of(aor):
            other = there.get(binding.key)
            if other is None:
                # It was removed, or the store has lost it: that shows when it is written. Expiry is told elsewhere.
                if binding.expires_at > wall:
                    self._unwritten[aor, binding.key] = binding
            elif other.updated_at > binding.updated_at:
                self._own.release(aor, binding.key)
                if other.flow is None and _same_request(other, binding):
                    self._own.take(aor, other)  # Only its flow was dropped.

    async def _expire_some(self) -> None:
        expired = self._own.expired(self._wall(), BATCH)
        if not expired:
            return
        found = await self._store.find_registrations(list({aor for aor, _ in expired}))
        for aor, binding in expired:
            registration = found.get(aor)
            there = registration is not None and any(other.key == binding.key for other in registration.bindings)
            if self._own.get(aor, binding.key) is not binding:
                continue  # It was refreshed while the store was asked.
            self._own.release(aor, binding.key)
            if not there:
                self._locations.forget(aor)
                self._events.changed(RegistrationChange.EXPIRED, aor, binding)

    # Pods that died

    async def clear_after(self, dead: Callable[[str], bool]) -> int:
        """Let go what the connections of dead pods have left behind, and inherit the rest of what they wrote.

        Args:
            dead: Tells of a pod whether it is gone.

        Returns:
            How many bindings were let go.

        Raises:
            StoreError: The store is away; some may have been found.
        """
        count = 0
        async for registration in self._store.registrations():
            for binding in registration.bindings:
                if binding.flow is not None and binding.flow.connection:
                    if dead(binding.flow.pod):
                        self._left_behind[registration.aor, binding.key] = binding.writer
                        self.flow_lost(registration.aor, binding)
                        count += 1
                elif binding.writer and dead(binding.writer):
                    self._inherit(registration.aor, binding)
            while len(self._lost) >= BATCH:
                await self._dropped()
        return count

    def _inherit(self, aor: str, binding: Binding) -> None:
        """Look after a binding whose writer is gone; should that only have been paused, it is outdated now."""
        mine = replace(binding, writer=self._own.pod, updated_at=(round(binding.updated_at * 1000) + 1) / 1000)
        self._own.take(aor, mine)
        self._unwritten[aor, mine.key] = mine
        self._more.set()


def _same_request(one: Binding, other: Binding) -> bool:
    return (one.call_id, one.cseq) == (other.call_id, other.cseq)
