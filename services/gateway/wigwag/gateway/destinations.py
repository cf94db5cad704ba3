"""Where a message for a user goes: to his page-mode devices, into a session, or nowhere yet."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from wigwag.api.events.v1.pager_pb2 import PagerReason
from wigwag.protocols.sip import SipError, SipUri, parse_uri
from wigwag.protocols.sip.uri import normal_user
from wigwag.runtime.capabilities import capabilities
from wigwag.runtime.credentials import CredentialSource
from wigwag.store import Registration

from .config import GatewaySettings
from .wrapping import uri_of


class Way(enum.Enum):
    """How a user is reached."""

    PAGE = "page"
    """By MESSAGE."""
    SESSION = "session"
    """In a session."""
    WAIT = "wait"
    """He is ours, and absent."""
    NOWHERE = "nowhere"
    """There is no such user."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a message goes."""

    way: Way
    bindings: tuple[str, ...] = ()
    """Keys of the page-mode devices; empty: all."""


class Registrations(Protocol):
    """Knows who is registered: a part of the store."""

    async def find_registrations(self, aors: Sequence[str]) -> "Mapping[str, Registration]":
        """Return those that have bindings in force."""


_ABSENT: Final = Destination(Way.WAIT)
_STRANGER: Final = Destination(Way.SESSION)
_UNKNOWN: Final = Destination(Way.NOWHERE)


class Destinations:
    """Decides.

    Args:
        registrations: Who is registered, with what.
        source: Which users there are.
        settings: Of the gateway.
    """

    def __init__(self, registrations: Registrations, source: CredentialSource, settings: GatewaySettings) -> None:
        self._registrations = registrations
        self._source = source
        self._settings = settings

    async def of(self, recipient: str, reason: "PagerReason", device: str | None = None) -> Destination:
        """Return where a message for somebody goes.

        Args:
            recipient: Canonical address.
            reason: Why the edge kept it; ``PAGER_REASON_UNSPECIFIED``: it came in a session.
            device: Key of the device that has just registered, for what waited; empty: another reason woke it; None:
                it has not waited.

        Raises:
            StoreError, DatabaseError: It can't be known now.
        """
        try:
            uri = parse_uri(uri_of(recipient))
        except SipError:
            return _UNKNOWN  # Nobody has such an address; what waits for others is not to wait for it.
        if not isinstance(uri, SipUri):
            return _STRANGER
        registration = (await self._registrations.find_registrations([recipient])).get(recipient)
        if registration is not None and registration.bindings:
            return self._of_devices(registration, reason, device)
        if await self._source.credentials(normal_user(uri.user), uri.host) is not None:
            return _ABSENT
        if reason in (PagerReason.PAGER_REASON_ROUTE, PagerReason.PAGER_REASON_SESSION_MODE):
            return _STRANGER
        return _UNKNOWN

    def _of_devices(self, registration: Registration, reason: "PagerReason", device: str | None) -> Destination:
        if reason == PagerReason.PAGER_REASON_SESSION_MODE:
            # They have refused MESSAGE, whatever they say of themselves.
            return Destination(Way.SESSION)
        found = {binding.key: capabilities(binding.params) for binding in registration.bindings}
        page = tuple(key for key, can in found.items() if can.page is not False)
        if not page:
            return Destination(Way.SESSION)
        by_route = reason == PagerReason.PAGER_REASON_ROUTE
        if by_route and any(can.session is not False for can in found.values()):
            return Destination(Way.SESSION)
        if self._settings.prefer == "session" and any(can.session for can in found.values()):
            return Destination(Way.SESSION)
        if device is not None and self._settings.store == "first":
            return Destination(Way.PAGE, (device,) if device in page else page[:1])
        return Destination(Way.PAGE, page if len(page) < len(found) else ())
