"""Wakes devices that sleep, through an HTTP service, and waits until they have registered again (RFC 8599)."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from wigwag.errors import WigwagError
from wigwag.protocols.sip import Request, SipError, SipUri, parse_name_address, parse_uri
from wigwag.relay.sip.ports import Later
from wigwag.store import Binding, Registration
from wigwag.store import Flow as StoredFlow

if TYPE_CHECKING:
    from wigwag.relay.sip.config import PushSettings
    from wigwag.relay.sip.flows.flow import Flow

    from .locations import Locations

WAKING: Final = frozenset({"MESSAGE", "INVITE"})
"""Methods for whose sake a device is woken."""
_MOST: Final = 100_000
"""Devices whose last wake-up is remembered."""
_FRESH: Final = 30.0
"""Seconds after its REGISTER for which a device is taken to be awake behind UDP, whose flows never close."""


class Pusher(Protocol):
    """The HTTP service."""

    async def ask(self, question: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Ask it; WigwagError."""


class Waker:
    """Wakes devices.

    Args:
        settings: How.
        pusher: The service that can reach Apple's, Google's and others' push services.
        locations: Where it shows that a device is awake.
        flows: Returns the flow that the store knows of; None: it is gone.
        now: Seconds, monotonic.
        wall: The store's clock.
        spawn: Runs a coroutine beside.
        log: Writes one line.

    Attributes:
        counters: Wake-ups asked for, failed ones, requests that waited and those for which the device woke in time.
    """

    def __init__(
        self,
        settings: "PushSettings",
        pusher: Pusher,
        *,
        locations: "Locations",
        flows: Callable[[StoredFlow], "Flow | None"],
        now: Callable[[], float],
        wall: Callable[[], float],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        log: Callable[..., None],
    ) -> None:
        self.counters = {"wakeups": 0, "wakeup_failures": 0, "wakeup_waits": 0, "wakeups_in_time": 0}
        self._settings = settings
        self._pusher = pusher
        self._locations = locations
        self._flows = flows
        self._now = now
        self._wall = wall
        self._spawn = spawn
        self._log = log
        self._woken: dict[tuple[str, str], float] = {}
        """When each device was woken last, the oldest first."""
        self._waiting: dict[str, list[asyncio.Event]] = {}

    # The registrar's side (section 5)

    def check(self, request: Request) -> None:
        """SipError 555: a push service is wanted that is not offered (section 5.3.1)."""
        wanted = self._wanted(request)
        if wanted and self._settings.providers and wanted not in self._settings.providers:
            raise SipError("Push Notification Service Not Supported", status=555)

    def capabilities(self, request: Request) -> list[tuple[str, str]]:
        """Return the Feature-Caps that answer a REGISTER which mentions a push service (section 8)."""
        wanted = self._wanted(request)
        if wanted is None:
            return []
        names = [wanted] if wanted else self._settings.providers
        return [("Feature-Caps", f'*;+sip.pns="{name}"') for name in names]

    def _wanted(self, request: Request) -> str | None:
        """Return the service that is named; empty: it is asked which there are; None: none is mentioned."""
        for value in request.items("contact"):
            if "pn-provider" in value:
                uri = parse_uri(parse_name_address(value).uri)
                return uri.parameter("pn-provider") if isinstance(uri, SipUri) else None
        return None

    def registered(self, aor: str) -> None:
        """A user has registered, here or at another pod."""
        for event in self._waiting.get(aor, ()):
            event.set()

    # The proxy's side

    def asleep(self, registration: Registration) -> list[Binding]:
        """Return the devices that have to be woken before they can be reached."""
        return [binding for binding in registration.bindings if binding.push and self._sleeps(binding)]

    def _sleeps(self, binding: Binding) -> bool:
        if binding.flow is None:
            return True
        if not binding.flow.connection:
            return self._wall() - binding.updated_at > _FRESH
        flow = self._flows(binding.flow)
        return flow is None or not flow.is_open

    def rouse(
        self, registration: Registration, asleep: Sequence[Binding], reason: str
    ) -> "Registration | Later[Registration]":
        """Wake devices; returns what is registered then, at once when another device can be reached.

        Args:
            registration: All of the user's devices.
            asleep: Those that sleep.
            reason: The method of the request.
        """
        if len(asleep) == len(registration.bindings):
            return self._awake(registration, asleep, reason)
        self._spawn(self._wake(registration.aor, asleep, reason))
        return registration

    async def _awake(self, registration: Registration, asleep: Sequence[Binding], reason: str) -> Registration:
        """Wake, wait until one of them has registered, and return what is registered then."""
        self.counters["wakeup_waits"] += 1
        aor, event = registration.aor, asyncio.Event()
        waiting = self._waiting.setdefault(aor, [])
        waiting.append(event)
        try:
            await self.wake(aor, asleep, reason)
            async with asyncio.timeout(self._settings.wait):
                while True:
                    await event.wait()
                    event.clear()
                    registration = await self._registered(aor)
                    if len(self.asleep(registration)) < len(registration.bindings):
                        self.counters["wakeups_in_time"] += 1
                        return registration
        except TimeoutError:
            return registration
        finally:
            waiting.remove(event)
            if not waiting:
                self._waiting.pop(aor, None)

    async def _registered(self, aor: str) -> Registration:
        found = self._locations.find(aor)
        return await found if isinstance(found, Coroutine) else found

    async def _wake(self, aor: str, bindings: Sequence[Binding], reason: str) -> None:
        await self.wake(aor, bindings, reason)

    async def wake(self, aor: str, bindings: Sequence[Binding], reason: str) -> bool:
        """Have those devices woken that take wake-ups and were not woken a moment ago.

        Args:
            aor: Whose.
            bindings: His bindings, with and without what a wake-up needs.
            reason: Why, such as the method of the request that waits.

        Returns:
            Whether there was one to wake, and the service took it.
        """
        due = [binding for binding in bindings if binding.push and self._is_due(aor, binding)]
        if not due:
            return False
        self.counters["wakeups"] += len(due)
        question = {"aor": aor, "reason": reason, "devices": [_device(binding) for binding in due]}
        try:
            await self._pusher.ask(question)
        except WigwagError as error:
            self.counters["wakeup_failures"] += len(due)
            self._log("a device could not be woken", reason=str(error))
            for binding in due:
                self._woken.pop((aor, binding.key), None)
            return False
        return True

    def _is_due(self, aor: str, binding: Binding) -> bool:
        now, name = self._now(), (aor, binding.key)
        last = self._woken.get(name)
        if last is not None and now - last < self._settings.interval:
            return False
        self._woken.pop(name, None)
        while len(self._woken) >= _MOST:
            del self._woken[next(iter(self._woken))]
        self._woken[name] = now
        return True


def _device(binding: Binding) -> dict[str, str]:
    parameters = dict(part.partition("=")[::2] for part in binding.push.split(";") if part)
    return {
        "contact": binding.contact,
        "instance": binding.instance,
        "provider": parameters.get("pn-provider", ""),
        "param": parameters.get("pn-param", ""),
        "prid": parameters.get("pn-prid", ""),
    }
