"""Which devices take MESSAGE, and which take sessions of messages: as they say, else as they have answered."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from wigwag.relay.sip.incoming import Target
from wigwag.runtime.capabilities import Capabilities, capabilities
from wigwag.store import Binding, Registration

LIFETIME: Final = 3_600.0
"""Seconds for which an answer is remembered: a device may learn what it could not."""
MOST: Final = 65_536
"""Answers, and users, that are remembered."""
PAGE: Final = "MESSAGE"
SESSION: Final = "INVITE"


class Devices:
    """What this pod knows of devices.

    What a device says when it registers goes before what it has answered, where it says anything.

    Args:
        now: Seconds, monotonic.

    Attributes:
        ask: Asks a device that does not say, and returns whether it was asked; None: nobody does.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.ask: Callable[[str, Binding], bool] | None = None
        self._asked: OrderedDict[tuple[str, str, str], float] = OrderedDict()
        """By AOR, key and Call-ID of those that were asked: until when they are not asked again."""
        self._refusals: OrderedDict[tuple[str, str, str], tuple[str, float]] = OrderedDict()
        """By method, AOR and key of the binding: Call-ID of its REGISTER, and until when it is believed."""
        self._pages: dict[str, tuple[Registration, Registration | None]] = {}
        """By AOR: a registration, and what ``for_pages`` made of it."""

    def __len__(self) -> int:
        return len(self._refusals)

    def for_pages(self, registration: Registration) -> Registration | None:
        """Return a registration without the contacts that take no MESSAGE; None: no contact takes any.

        The same object comes back for the same registration, and itself when there is nothing to leave out.
        """
        known = self._pages.get(registration.aor)
        if known is not None and known[0] is registration:
            return known[1]
        found = self._for_pages(registration)
        if len(self._pages) >= MOST:
            self._pages.clear()
        self._pages[registration.aor] = (registration, found)
        return found

    def are_known_to_page(self, registration: Registration) -> bool:
        """Tell whether ``for_pages`` has found last that each of a user's devices takes MESSAGE, or may."""
        known = self._pages.get(registration.aor)
        return known is not None and known[1] is registration

    def are_page_only(self, registration: Registration) -> bool:
        """Tell whether each of a user's devices takes no sessions, but MESSAGE, or may."""
        self._ask_who_does_not_say(registration)
        return all(self._is_page_only(registration.aor, binding) for binding in registration.bindings)

    def _is_page_only(self, aor: str, binding: Binding) -> bool:
        known = self.of(aor, binding)
        if known.session is not False or known.page is False:
            return False
        # Of a telephone it is only a guess that it takes MESSAGE; one that has refused sessions is not rung again.
        return known.page is True or capabilities(binding.params).session is None

    def of(self, aor: str, binding: Binding) -> Capabilities:
        """Return what is known of one device."""
        said = capabilities(binding.params)
        if not self._refusals or None not in (said.page, said.session):
            return said
        page, session = said.page, said.session
        if page is None and self._has_refused(PAGE, aor, binding):
            page = False
        if session is None and self._has_refused(SESSION, aor, binding):
            session = False
        return Capabilities(page, session)

    def refused(self, method: str, target: Target) -> None:
        """A registered device has answered that it takes no MESSAGE (``PAGE``), or no sessions (``SESSION``)."""
        if not target.aor:
            return
        name = (method, target.aor, target.key)
        self._refusals.pop(name, None)
        if len(self._refusals) >= MOST:
            self._refusals.popitem(last=False)
        self._refusals[name] = (target.call_id, self._now() + LIFETIME)
        self._pages.pop(target.aor, None)

    def _for_pages(self, registration: Registration) -> Registration | None:
        self._ask_who_does_not_say(registration)
        aor, bindings = registration.aor, registration.bindings
        kept = tuple(binding for binding in bindings if self.of(aor, binding).page is not False)
        if len(kept) == len(bindings):
            return registration
        return replace(registration, bindings=kept) if kept else None

    def _has_refused(self, method: str, aor: str, binding: Binding) -> bool:
        known = self._refusals.get((method, aor, binding.key))
        # A REGISTER of another Call-ID is that of a device that was started anew (RFC 3261 section 10.2).
        return known is not None and known[0] == binding.call_id and known[1] > self._now()

    def _ask_who_does_not_say(self, registration: Registration) -> None:
        if self.ask is None:
            return
        for binding in registration.bindings:
            said, name = capabilities(binding.params), (registration.aor, binding.key, binding.call_id)
            if None not in (said.page, said.session) or self._asked.get(name, 0.0) > self._now():
                continue
            if self.ask(registration.aor, binding):
                self._asked.pop(name, None)
                if len(self._asked) >= MOST:
                    self._asked.popitem(last=False)
                self._asked[name] = self._now() + LIFETIME
