"""A route: where requests with certain path headers go, worked out once and kept by the hop they come from."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .destination import Destination
    from .hop import Hop
    from .sessions import Session


class Route:
    """What one pair of To-Path and From-Path on one connection means.

    Attributes:
        source: The hop that the requests come from; 200s and REPORTs go back there.
        session: The session named by the first To-Path URI.
        exit_session: The session through which the request leaves: another one when both ends use this relay.
        destination: Where the requests go next.
        paths: Both path headers as they leave, each with its CRLF.
        ok: A 200 response between its transaction identifiers.
        response_paths: Both path headers of a response to the previous hop.
        report_paths: Both path headers of a REPORT to the origin.
        from_client: The request comes from the session's client (else it goes to that client).
        to_client: The request leaves toward the client of ``exit_session``.
        from_key: Comparison key of the first From-Path URI.
        largest_message: 413 above so many octets; 0: no limit.
        open: False once a session or connection it leans on is gone: it has to be worked out again.
        messages, octets: Chunks and body octets forwarded.
        drained: Reason for which chunks are refused for now (a stalled or unreachable next hop), else None.
    """

    answered: "Callable[[bytes], None] | None" = None
    """What wants to know of each 200: nobody here; see ``Arrivals``, which stands in a route's place."""

    __slots__ = (
        "__weakref__",
        "destination",
        "drained",
        "exit_session",
        "from_client",
        "from_key",
        "largest_message",
        "messages",
        "octets",
        "ok",
        "open",
        "paths",
        "report_paths",
        "response_paths",
        "session",
        "source",
        "to_client",
    )

    def __init__(
        self,
        *,
        source: "Hop",
        session: "Session",
        exit_session: "Session",
        destination: "Destination",
        moved: list[bytes],
        to_path: list[bytes],
        from_path: bytes,
        from_key: tuple[object, ...],
        from_client: bool,
        to_client: bool,
        largest_message: int,
    ) -> None:
        self.source = source
        self.session = session
        self.exit_session = exit_session
        self.destination = destination
        self.from_client = from_client
        self.to_client = to_client
        self.from_key = from_key
        self.largest_message = largest_message
        self.paths = b"To-Path: %b\r\nFrom-Path: %b\r\n" % (
            b" ".join(to_path),
            b" ".join([*reversed(moved), from_path]),
        )
        self.response_paths = b"To-Path: %b\r\nFrom-Path: %b\r\n" % (from_path.split(b" ", 1)[0], moved[0])
        self.report_paths = b"To-Path: %b\r\nFrom-Path: %b\r\n" % (from_path, moved[0])
        self.ok = b" 200 OK\r\n" + self.response_paths + b"-------"
        self.open = True
        self.messages = 0
        self.octets = 0
        self.drained: tuple[int, str] | None = None
        destination.routes.add(self)
        session.routes.add(self)
        if exit_session is not session:
            exit_session.routes.add(self)

    def close(self) -> None:
        """Take the route out of use and fold its counters into its sessions."""
        if not self.open:
            return
        self.open = False
        self.destination.routes.discard(self)
        self.session.routes.discard(self)
        self.exit_session.routes.discard(self)
        counters = self.source.relay.counters
        counters["messages"] += self.messages
        counters["octets"] += self.octets
        for session in {self.session, self.exit_session}:
            session.count(self)

    def goes_to_client_of(self, session: "Session") -> bool:
        """Tell whether what passes goes to the client of ``session``, one of the two; else it comes from there."""
        return self.to_client if session is self.exit_session else not self.from_client

    def lead_to(self, destination: "Destination") -> None:
        """Send further requests to another destination: the next hop has been connected."""
        self.destination.routes.discard(self)
        self.destination = destination
        destination.routes.add(self)

    def leads_to(self) -> "Destination":
        """Return where the route's bytes go now, also after the receiving client was lost or resumed elsewhere."""
        return self.exit_session.leads_to if self.to_client else self.destination

    def origin(self) -> "Destination | None":
        """Return what leads back to the origin, also after the client resumed elsewhere or while it may yet."""
        if not self.source.closed and self.source.departure is None:
            return self.source
        found = self.session.destination if self.from_client else self.session.peers.get(self.from_key)
        return found if found is not None and found.takes_reports else None
