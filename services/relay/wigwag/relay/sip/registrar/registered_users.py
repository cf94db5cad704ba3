"""Registrations as an operator sees and changes them, of all pods, at any of them."""

import heapq
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wigwag.errors import InvalidRequestError, NotFoundError
from wigwag.protocols.sip import SipError, SipUri, parse_uri
from wigwag.store import Binding, Registration, Store

from .events import RegistrationChange

if TYPE_CHECKING:
    from wigwag.relay.sip.assembly import SipParts

LARGEST_PAGE: Final = 10_000
"""Users; every page reads the whole store, so the largest is the cheapest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingView:
    """A contact of a user."""

    contact: str
    key: str
    """What removes it."""
    expires: float
    """Wall clock, seconds since the epoch."""
    q: float
    params: str
    instance: str
    reg_id: int
    path: tuple[str, ...]
    user_agent: str
    call_id: str
    cseq: int
    updated: float
    pod: str
    """The pod that holds its flow; empty: it has none."""
    listener: str
    transport: str
    remote: str
    push: bool
    """Whether it can be woken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationView:
    """A user and his contacts."""

    aor: str
    bindings: tuple[BindingView, ...]


class RegisteredUsers:
    """The use cases; the user agent's own pods, who register too, are no users.

    Args:
        store: Where registrations are.
        parts: What has to know of a removal at once.
    """

    def __init__(self, store: Store, parts: "SipParts") -> None:
        self._store = store
        self._locations = parts.locations
        self._registrations = parts.registrations
        self._pods = parts.edge.neighbours.agents.aor

    async def page(self, *, prefix: str = "", after: str = "", size: int) -> tuple[list[RegistrationView], bool]:
        """Return users in the order of their AORs, and whether there are more.

        Args:
            prefix: Only AORs that begin so, with or without ``sip:``.
            after: Only AORs behind this one.
            size: Users at most.

        Raises:
            StoreError: The store is away.
        """
        found: list[_Descending] = []
        async for registration in self._store.registrations(prefix=_prefix(prefix)):
            if registration.aor > after and registration.aor != self._pods:
                (heapq.heappush if len(found) <= size else heapq.heappushpop)(found, _Descending(registration))
        ordered = [entry.registration for entry in sorted(found, reverse=True)]
        return [view(registration) for registration in ordered[:size]], len(ordered) > size

    async def all(self) -> AsyncIterator[Registration]:
        """Yield every user, in no order."""
        async for registration in self._store.registrations():
            if registration.aor != self._pods:
                yield registration

    async def show(self, user: str) -> Registration:
        """Return a user's registration.

        Args:
            user: ``user@domain``, or an AOR.

        Raises:
            InvalidRequestError: It is neither.
            NotFoundError: He is not registered.
        """
        aor = aor_of(user)
        found = (await self._store.find_registrations([aor])).get(aor)
        if found is None:
            raise NotFoundError(f"{user} is not registered")
        return found

    async def remove(self, user: str, contacts: Sequence[str] | None = None) -> int:
        """Remove a user's bindings, or those with these contact URIs or keys; returns how many.

        Raises:
            NotFoundError: There is none such.
            InvalidRequestError, StoreError: As ``show``.
        """
        registration = await self.show(user)
        gone = [
            binding
            for binding in registration.bindings
            if contacts is None or binding.contact in contacts or binding.key in contacts
        ]
        if not gone:
            raise NotFoundError(f"{user} has no such contact")
        keys = [binding.key for binding in gone]
        await self._store.remove_bindings(registration.aor, keys)
        for binding in gone:
            self._registrations.own.release(registration.aor, binding.key)
        self._locations.removed(registration.aor, keys)
        self._registrations.events.all_changed(
            RegistrationChange.UNREGISTERED, registration.aor, gone, "by an operator"
        )
        return len(gone)


@dataclass(frozen=True, slots=True)
class _Descending:
    """Makes the last AOR the first of a heap: it is what goes when there are too many."""

    registration: Registration

    def __lt__(self, other: "_Descending") -> bool:
        return self.registration.aor > other.registration.aor


def _prefix(text: str) -> str:
    return text if not text or text.startswith("sip:") else f"sip:{text}"


def aor_of(user: str) -> str:
    """Return the AOR that is meant.

    Raises:
        InvalidRequestError: It is none.
    """
    try:
        uri = parse_uri(user if user.startswith(("sip:", "sips:")) else f"sip:{user}")
    except SipError as error:
        raise InvalidRequestError(f"{user!r} is no user: write it as name@domain") from error
    if not isinstance(uri, SipUri) or not uri.user:
        raise InvalidRequestError(f"{user!r} is no user: write it as name@domain")
    return uri.aor


def view(registration: Registration) -> RegistrationView:
    """Return a registration as it is shown."""
    return RegistrationView(aor=registration.aor, bindings=tuple(map(_binding_view, registration.bindings)))


def _binding_view(binding: Binding) -> BindingView:
    flow = binding.flow
    return BindingView(
        contact=binding.contact,
        key=binding.key,
        expires=binding.expires_at,
        q=binding.q / 1000,
        params=binding.params,
        instance=binding.instance,
        reg_id=binding.reg_id,
        path=binding.path,
        user_agent=binding.user_agent,
        call_id=binding.call_id,
        cseq=binding.cseq,
        updated=binding.updated_at,
        pod=flow.pod if flow is not None else "",
        listener=flow.listener if flow is not None else "",
        transport=flow.transport if flow is not None else "",
        remote=flow.remote if flow is not None else "",
        push=bool(binding.push),
    )
