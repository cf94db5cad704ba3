"""Bindings and nonces of a process that is alone; part of ``memory``."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

from wigwag.protocols.digest import NonceWindow

from . import Binding, Flow, Registration, RegistrationChanged
from .expiring import Expiring
from .notices import Notices
from .registration_rules import (
    Kept,
    Request,
    in_force,
    is_count,
    leads_elsewhere,
    put,
    registered,
    removed,
    without_flow,
)
from .rules import is_live


class MemoryRegistrations:
    """The port ``Registrations`` without a server.

    Args:
        clock: Wall clock, seconds since the epoch.
        notices: Whom to tell of changes.
    """

    def __init__(self, clock: Callable[[], float], notices: Notices) -> None:
        self._clock = clock
        self._notices = notices
        self._registrations: dict[str, Kept] = {}
        self._nonces: Expiring[tuple[NonceWindow, dict[int, str]]] = Expiring()

    async def register(
        self,
        aor: str,
        *,
        call_id: str,
        cseq: int,
        bindings: Sequence[Binding] = (),
        removed: Sequence[str] = (),
        remove_all: bool = False,
        most: int,
    ) -> Registration:
        """See ``Registrations.register``."""
        now = self._clock()
        request = Request(
            aor=aor,
            call_id=call_id,
            cseq=cseq,
            bindings=bindings,
            removed=removed,
            remove_all=remove_all,
            most=most,
        )
        kept = self._kept(aor, now)
        return self._keep(aor, kept, registered(kept, request, now))

    async def find_registrations(self, aors: Sequence[str]) -> Mapping[str, Registration]:
        """See ``Registrations.find_registrations``."""
        now = self._clock()
        found = (_registration(aor, self._kept(aor, now)) for aor in aors)
        return {registration.aor: registration for registration in found if registration.bindings}

    async def drop_flow(self, aor: str, key: str, flow: Flow, *, remove: bool) -> bool:
        """See ``Registrations.drop_flow``."""
        now = self._clock()
        kept = self._kept(aor, now)
        new = without_flow(kept, key, flow, now, remove=remove)
        if new is not None:
            self._keep(aor, kept, new)
        return new is not None

    async def remove_bindings(self, aor: str, keys: Sequence[str] | None = None) -> Registration | None:
        """See ``Registrations.remove_bindings``."""
        now = self._clock()
        kept = self._kept(aor, now)
        left = self._keep(aor, kept, removed(kept, keys, now))
        return left if kept.bindings else None

    async def put_registrations(self, bindings: Iterable[tuple[str, Binding]]) -> Sequence[tuple[str, Binding]]:
        """See ``Registrations.put_registrations``."""
        now = self._clock()
        outdated = []
        for aor, binding in bindings:
            kept = self._kept(aor, now)
            new = put(kept, binding, now)
            if new is None:
                outdated.append((aor, binding))
            else:
                self._keep(aor, kept, new)
        return outdated

    async def registrations(self, *, prefix: str = "") -> AsyncIterator[Registration]:
        """See ``Registrations.registrations``."""
        for aor in [aor for aor in self._registrations if aor.startswith(prefix)]:
            registration = _registration(aor, self._kept(aor, self._clock()))
            if registration.bindings:
                yield registration

    async def use_nonce(self, nonce: str, nc: int, *, expires_at: float, user: str = "") -> bool:
        """See ``Registrations.use_nonce``."""
        now = self._clock()
        if not is_count(nc) or not is_live(expires_at, now):
            return False
        window, users = self._nonces.get(nonce, now) or (NonceWindow(), {})
        if not window.accept(nc):
            return bool(user) and users.get(nc) == user
        users[nc] = user
        oldest = max(users) - NonceWindow.WIDTH
        users = {count: his for count, his in users.items() if count > oldest}
        self._nonces.put(nonce, (window, users), expires_at)
        return True

    def _kept(self, aor: str, now: float) -> Kept:
        return in_force(self._registrations.get(aor, Kept()), now)

    def _keep(self, aor: str, before: Kept, after: Kept) -> Registration:
        if after is not before:
            self._registrations[aor] = after
        if leads_elsewhere(before, after):
            self._notices.tell(RegistrationChanged(aor, after.version))
        return _registration(aor, after)

    def _sweep_registrations(self, now: float) -> None:
        self._registrations = {aor: kept for aor, kept in self._registrations.items() if is_live(kept.expires_at, now)}
        self._nonces.sweep(now)


def _registration(aor: str, kept: Kept) -> Registration:
    return Registration(aor, tuple(kept.bindings.values()), kept.version)
