"""What a relay grants a session: URIs that lead to it, for a time (RFC 4976 section 5.1)."""

import asyncio
from collections.abc import Callable
from typing import Final

from wigwag.protocols.msrp import Authenticated, MsrpUri, Path
from wigwag.transport.msrp_client import AuthenticationError, MsrpClient

from .media import FENCING_TOKEN, RelayWay

_RENEW_AT: Final = 0.75
"""Part of a grant's time after which it is renewed: a quarter is left for a relay that answers late."""
_RENEW_MARGIN: Final = 30.0
"""Seconds that are left at least, of a grant that is long enough: within them an AUTH is answered or given up."""
_OUT_OF_BOUNDS: Final = 423


class Grant:
    """A session's place at its relay.

    Args:
        token: Fencing token for our own relay.
        renew: Called when it is time to renew the grant.

    Attributes:
        relays: The URIs that were granted, outermost first; empty: none were.
    """

    def __init__(self, token: int, renew: Callable[[], object]) -> None:
        self.relays: Path = ()
        self._token = token
        self._renew = renew
        self._renewal: asyncio.TimerHandle | None = None

    async def ask(self, client: MsrpClient, way: RelayWay, own: MsrpUri) -> Authenticated:
        """AUTH at a relay.

        Args:
            client: A connection to it.
            way: The relay.
            own: Our URI behind it.

        Raises:
            AuthenticationError: It refuses.
            ConflictError: The connection is lost, or an AUTH is under way.
        """
        fields = ((FENCING_TOKEN, str(self._token)),) if way.fencing else ()

        async def authenticate(expires: int | None) -> Authenticated:
            return await client.authenticate(way.uri, own, way.username, way.password, expires=expires, fields=fields)

        try:
            return await authenticate(way.expires)
        except AuthenticationError as error:
            if error.status != _OUT_OF_BOUNDS:
                raise
            # The time is the relay's to choose then (RFC 4976 section 5.1).
            return await authenticate(None)

    def take(self, granted: Authenticated) -> bool:
        """Have what was granted, and renew it in time; True: it replaces other URIs."""
        before, self.relays = self.relays, granted.use_path
        self.stop()
        wait = max(1.0, renew_after(granted.expires))
        self._renewal = asyncio.get_running_loop().call_later(wait, self._renew)
        return bool(before) and before != self.relays

    def stop(self) -> None:
        """Renew it no more."""
        if self._renewal is not None:
            self._renewal.cancel()


def renew_after(expires: int) -> float:
    """Return the seconds after which a grant of so many is renewed; short ones have no room for the margin."""
    if expires <= 2 * _RENEW_MARGIN:
        return expires / 2
    return min(expires * _RENEW_AT, expires - _RENEW_MARGIN)
