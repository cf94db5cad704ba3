"""Ways of MSRP: through our relay, through somebody else's, or direct (RFC 4975 section 8.5, RFC 4976)."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from wigwag.errors import ConfigurationError
from wigwag.protocols.msrp import MsrpUri
from wigwag.protocols.sdp import Fingerprint
from wigwag.transport.connector import Connector

from .direct import UNREACHABLE_PORT, DirectWay

FENCING_TOKEN: Final = "Fencing-Token"  # noqa: S105 - a header's name
"""Header of our AUTH at our own relay: an AUTH with a lower number is refused (DESIGN.md section 6)."""


TRACEPARENT: Final = "Traceparent"
"""Header of SENDs between us and our own relay, by which a trace goes on (W3C Trace Context)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayWay:
    """A relay that our sessions are behind."""

    uri: MsrpUri
    connector: Connector
    """Its TLS context shows our certificate, if the relay wants one, and says whom to trust."""
    username: str = ""
    """Empty: our certificate is enough."""
    password: str = field(default="", repr=False)
    expires: int | None = None
    """Seconds to ask for; None leaves it to the relay: one in the field (Kamailio 5.6) takes no wish, and says so in a
    response that can't be read."""
    fencing: bool = False
    """Whether the relay takes fencing tokens: ours does."""
    own_host: str = "agents.invalid"
    """Host of our own URI behind it, which nobody connects to."""
    server_name: str | None = None
    """In its certificate; None: the host of ``uri``."""

    listens: ClassVar[bool] = True
    cema: ClassVar[bool] = False
    fingerprints: ClassVar[tuple[Fingerprint, ...]] = ()

    def own_uri(self, session_id: str, *, secure: bool | None = None) -> MsrpUri:
        """Return our own URI, the same on every pod, whatever port it finds the relay at: a session is known by it.

        Args:
            session_id: Its session part.
            secure: Whether the peer's description is about MSRP over TLS; None: ours comes first, and says what the
                relay speaks.
        """
        scheme = self.uri.scheme if secure is None else "msrps" if secure else "msrp"
        return MsrpUri.parse(f"{scheme}://{self.own_host}:{UNREACHABLE_PORT}/{session_id};tcp")


Way = RelayWay | DirectWay


AT_ONCE: Final = 16
"""Sessions that are got back at the same time: a pod that takes over from another has hundreds. All at once each would
take as long as all of them, longer than a relay waits for a handshake, and nothing else would have its turn."""


class MediaSide:
    """All ways by name.

    Args:
        ways: ``relay``, ``direct``, and the names of foreign relays.
        random: Returns so many unpredictable bytes.

    Attributes:
        getting_back: Held by who gets a lost connection back.
    """

    def __init__(self, ways: Mapping[str, Way], random: Callable[[int], bytes]) -> None:
        self.ways = dict(ways)
        self.random = random
        self.getting_back = asyncio.Semaphore(AT_ONCE)

    def way(self, name: str) -> Way:
        """Return a way.

        Raises:
            ConfigurationError: There is none of that name.
        """
        found = self.ways.get(name)
        if found is None:
            raise ConfigurationError(f"there is no way {name!r} for MSRP; known are {', '.join(sorted(self.ways))}")
        return found
