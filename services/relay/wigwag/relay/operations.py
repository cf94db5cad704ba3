"""What operators do to the process around the relay (``RelayOperations``)."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from wigwag.transport.channel import Channel

from .certificates import Certificates
from .profiles import Profiles
from .trace import Selector, Traces
from .web import ProfileReload, TraceView


class Operations:
    """Implements ``RelayOperations``.

    Args:
        profiles: TCP profiles.
        certificates: Of listeners.
        traces: Running ones.
        channels: Returns live connections.
        reload_routes: Reads the routing tables again; returns how many rows there are.
    """

    def __init__(
        self,
        profiles: Profiles,
        certificates: Certificates,
        traces: Traces,
        *,
        channels: Callable[[], Sequence[Channel]],
        reload_routes: Callable[[], Awaitable[int]],
    ) -> None:
        self._profiles = profiles
        self._certificates = certificates
        self._traces = traces
        self._channels = channels
        self._reload_routes = reload_routes

    def profiles(self) -> Sequence[Mapping[str, object]]:
        """The TCP profiles in force, by column, in the order they are tried."""
        return self._profiles.rows()

    async def reload_profiles(self, *, dry_run: bool) -> ProfileReload:
        """Read the profiles again and apply them to live connections."""
        return await self._profiles.reload(self._channels, dry_run=dry_run)

    async def reload_routes(self) -> int:
        """Read the routing tables again, MSRP's and SIP's; on an error the old one stays."""
        return await self._reload_routes()

    def reload_certificates(self) -> dict[str, str]:
        """Load all certificates again; returns, by listener, "reloaded" or why the old ones stay in use."""
        return self._certificates.reload()

    def traces(self) -> list[TraceView]:
        """Running traces."""
        return self._traces.views()

    def start_trace(self, *, user: str | None, session: str | None, call_id: str | None = None) -> TraceView:
        """Begin one."""
        return self._traces.start(Selector(user, session, call_id))

    def stop_trace(self, *, user: str | None, session: str | None, call_id: str | None = None) -> TraceView:
        """End one."""
        return self._traces.stop(Selector(user, session, call_id))
