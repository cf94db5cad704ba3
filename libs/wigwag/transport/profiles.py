"""TCP connection profiles: the rows of OpenSIPS's ``tcp_mgm`` table, matched per connection.

A row says for which connections it holds (protocol, remote and local address) and what holds there. The columns, their
units and the order in which rows are tried are OpenSIPS's. What MSRP here has no use for is accepted and does nothing:

- ``parallel_read`` and ``alias_mode``: reads are never handed to another process, and connections are found by
  session, not by a SIP ``alias``.
- ``attrs`` (``max_msg_chunks``, the reads a message may need): messages are streamed and may take any number.

When no row matches, our own defaults hold and `Channel.profile` is None.
"""

import ipaddress
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from wigwag.transport.addresses import parse_address
from wigwag.transport.channel import Address, Application, Channel

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

PROTOCOLS: dict[str, frozenset[str]] = {
    "any": frozenset({"tcp", "tls", "ws", "wss"}),
    "msrp": frozenset({"tcp"}),
    "tcp": frozenset({"tcp"}),
    "msrps": frozenset({"tls"}),
    "tls": frozenset({"tls"}),
    "ws": frozenset({"ws"}),
    "wss": frozenset({"wss"}),
}
"""Value of the ``proto`` column -> kinds of connection it means; ``msrp`` and ``msrps`` are OpenSIPS's names."""

_ONLY_MSRP = frozenset({"msrp", "msrps"})
"""Values of ``proto`` that leave connections of SIP alone; the others hold for both."""

DEFAULT_CONNECT_TIMEOUT = 5_000
"""Milliseconds, where no row matches."""
DEFAULT_KEEP_ALIVE = (True, 4, 120, 30)
"""keepalive, keepcount, keepidle, keepinterval where no row matches: a dead peer is found after four minutes."""

_MAXIMA = {
    "remote_port": 65_535,
    "local_port": 65_535,
    "connect_timeout": 3_600_000,
    "con_lifetime": 31_536_000,
    "msg_read_timeout": 31_536_000,
    "send_threshold": 2**31 - 1,
    "no_new_conn": 1,
    "alias_mode": 2,
    "parallel_read": 2,
    "keepalive": 1,
    "keepcount": 127,
    "keepidle": 32_767,
    "keepinterval": 32_767,
}
"""Largest value per column; the last three are the kernel's. Smaller than 0 is always wrong."""

_POSITIVE = frozenset({"connect_timeout", "con_lifetime", "msg_read_timeout"})
_ONLY_NEW_CONNECTIONS = frozenset({"connect_timeout", "no_new_conn"})
_WITHOUT_MEANING = frozenset({"attrs", "alias_mode", "parallel_read"})
_CONDITIONS = frozenset({"id", "proto", "remote", "remote_port", "local", "local_port", "priority"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpProfile:
    """One row of ``tcp_mgm``: the conditions, then what holds for the connections that meet them."""

    id: int
    proto: str = "any"
    remote: IpNetwork | None = None
    """Network of the peer; None: any."""
    remote_port: int = 0
    """The peer's port; 0: any."""
    local: IpNetwork | None = None
    """Network of our address; None: any. OpenSIPS takes a single address here; a network works too."""
    local_port: int = 0
    """Our port; 0: any."""
    priority: int = 0
    """Lower is tried first."""
    attrs: str | None = None
    """Accepted, without meaning here (``max_msg_chunks``)."""
    connect_timeout: int = 100
    """Milliseconds until an outgoing connection stands."""
    con_lifetime: int = 120
    """Seconds without traffic after which a connection is closed, unless it holds a live session."""
    msg_read_timeout: int = 4
    """Seconds without progress inside a message after which its connection is closed."""
    send_threshold: int = 0
    """Microseconds above which a write counts as slow; 0: not measured."""
    no_new_conn: bool = False
    """Never connect to such a peer; connections that it opens are used."""
    alias_mode: int = 0
    """Accepted, without meaning here."""
    parallel_read: int = 0
    """Accepted, without meaning here."""
    keepalive: bool = True
    """Whether the kernel probes the idle peer."""
    keepcount: int = 9
    """Unanswered probes until the connection is dead; 0: the system's."""
    keepidle: int = 7200
    """Seconds of silence before the first probe; 0: the system's."""
    keepinterval: int = 75
    """Seconds between probes; 0: the system's."""

    def matches(self, protocol: str, remote: Address, local: Address, application: Application = "msrp") -> bool:
        """Whether a connection of this kind between these addresses meets the conditions."""
        return (
            (application == "msrp" or self.proto not in _ONLY_MSRP)
            and not PROTOCOLS[self.proto].isdisjoint(PROTOCOLS.get(protocol, ()))
            and self.remote_port in (0, remote[1])
            and self.local_port in (0, local[1])
            and _inside(remote[0], self.remote)
            and _inside(local[0], self.local)
        )


class ProfileTable:
    """The rows in the order in which they are tried; the first that matches decides.

    Args:
        rows: Rows as mappings from column name to value (None: the column's default). Columns that do not exist in
            ``tcp_mgm`` are ignored.

    Attributes:
        profiles: The usable rows, in order.
        invalid: One sentence per row that is not used, with its id and every defect.
    """

    def __init__(self, rows: Iterable[Mapping[str, object]] = ()) -> None:
        profiles: list[TcpProfile] = []
        self.invalid: list[str] = []
        for row in rows:
            reading = _RowReading(row)
            if reading.defects:
                self.invalid.append(f"row {row.get('id')}: {'; '.join(reading.defects)}")
            else:
                profiles.append(reading.profile())
        self.profiles = sorted(profiles, key=_order)

    def match(
        self, protocol: str, remote: Address, local: Address, application: Application = "msrp"
    ) -> TcpProfile | None:
        """The profile that holds for a connection.

        Args:
            protocol: ``tcp``, ``tls``, ``ws``, ``wss``, or OpenSIPS's ``msrp``, ``msrps``.
            remote: The peer's address and port.
            local: Our address and port; port 0 when it is not known yet.
            application: What the connection carries; rows for ``msrp`` and ``msrps`` leave SIP alone.
        """
        for profile in self.profiles:
            if profile.matches(protocol, remote, local, application):
                return profile
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileChange:
    """What a reload changes on one open connection."""

    channel_id: int
    remote: Address
    before: int | None
    """Id of the row that held; None: our defaults."""
    after: int | None
    """Id of the row that holds now; None: our defaults."""
    changes: tuple[tuple[str, object, object], ...]
    """(column, old, new) of what takes effect on this connection; None in place of a value: our default."""


def plan_changes(table: ProfileTable, channels: Iterable[Channel]) -> list[ProfileChange]:
    """What `apply_changes` would do; nothing is changed."""
    return [change for channel in channels if (change := _change(channel, _holding(table, channel))) is not None]


def apply_changes(table: ProfileTable, channels: Iterable[Channel]) -> list[ProfileChange]:
    """Let ``table`` hold for open connections: socket options are set, timeouts hold from the next look at them."""
    applied = []
    for channel in channels:
        profile = _holding(table, channel)
        change = _change(channel, profile)
        channel.apply_profile(profile)
        sock = channel.transport_info("socket")
        if change is not None and sock is not None:
            apply_to_socket(sock, profile)  # type: ignore[arg-type]  # asyncio's TransportSocket has setsockopt
            applied.append(change)
    return applied


def apply_to_socket(sock: socket.socket, profile: TcpProfile | None) -> list[str]:
    """Set the keep-alive options of a connected or listening socket.

    Returns:
        ``option=value`` for each that was set; what the system lacks or refuses is left out.
    """
    keepalive, keepcount, keepidle, keepinterval = DEFAULT_KEEP_ALIVE
    if profile is not None:
        keepalive, keepcount = profile.keepalive, profile.keepcount
        keepidle, keepinterval = profile.keepidle, profile.keepinterval
    done = []
    options = [(socket.SOL_SOCKET, "SO_KEEPALIVE", int(keepalive))]
    if keepalive:
        options += [
            (socket.IPPROTO_TCP, "TCP_KEEPCNT", keepcount),
            (socket.IPPROTO_TCP, "TCP_KEEPIDLE", keepidle),
            (socket.IPPROTO_TCP, "TCP_KEEPINTVL", keepinterval),
        ]
    for level, name, value in options:
        option = getattr(socket, name, None)
        if option is None or (value == 0 and name != "SO_KEEPALIVE"):
            continue
        try:
            sock.setsockopt(level, option, value)
        except OSError:
            continue
        done.append(f"{name}={value}")
    return done


class _RowReading:
    """Reads one row, collecting every defect instead of stopping at the first."""

    def __init__(self, row: Mapping[str, object]) -> None:
        self.defects: list[str] = []
        self._values: dict[str, object] = {}
        self._read_integer(row, "id", required=True)
        self._read_integer(row, "priority")
        for column, maximum in _MAXIMA.items():
            self._read_integer(row, column, minimum=int(column in _POSITIVE), maximum=maximum)
        self._read_network(row, "remote_addr", "remote")
        self._read_network(row, "local_addr", "local")
        self._read_proto(row)
        if row.get("attrs") is not None:
            self._values["attrs"] = str(row["attrs"])

    def profile(self) -> TcpProfile:
        for column in ("no_new_conn", "keepalive"):
            if column in self._values:
                self._values[column] = bool(self._values[column])
        return TcpProfile(**self._values)  # type: ignore[arg-type]  # every value was checked against its column

    def _read_integer(
        self,
        row: Mapping[str, object],
        column: str,
        *,
        required: bool = False,
        minimum: int | None = None,
        maximum: int | None = None,
    ) -> None:
        value = row.get(column)
        if value is None and not required:
            return
        if not isinstance(value, int):
            self.defects.append(f"{column} is no whole number: {value!r}")
        elif (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
            self.defects.append(f"{column} is not between {minimum} and {maximum}: {value}")
        else:
            self._values[column] = value

    def _read_network(self, row: Mapping[str, object], column: str, field: str) -> None:
        value = row.get(column)
        if value is None or str(value).strip() == "":
            return
        try:
            self._values[field] = ipaddress.ip_network(str(value).strip(), strict=False)
        except ValueError:
            self.defects.append(f"{column} is no address and no network: {value!r}")

    def _read_proto(self, row: Mapping[str, object]) -> None:
        value = row.get("proto")
        proto = "any" if value is None else str(value).strip().lower()
        if proto in PROTOCOLS:
            self._values["proto"] = proto
        else:
            self.defects.append(f"proto is none of {', '.join(PROTOCOLS)}: {value!r}")


def _order(profile: TcpProfile) -> tuple[int, ...]:
    """Priority, then the more specific row first, condition by condition; the id breaks ties."""
    return (
        profile.priority,
        profile.proto == "any",
        profile.remote is None,
        0 if profile.remote is None else -profile.remote.prefixlen,
        profile.remote_port == 0,
        profile.local is None,
        0 if profile.local is None else -profile.local.prefixlen,
        profile.local_port == 0,
        profile.id,
    )


def _inside(address: str, network: IpNetwork | None) -> bool:
    if network is None:
        return True
    parsed = parse_address(address.partition("%")[0])
    return parsed is not None and parsed.version == network.version and parsed in network


def _holding(table: ProfileTable, channel: Channel) -> TcpProfile | None:
    return table.match(channel.kind, channel.remote, channel.local, channel.application)


def _change(channel: Channel, after: TcpProfile | None) -> ProfileChange | None:
    before = channel.profile
    changes = tuple(
        (field.name, old, new)
        for field in fields(TcpProfile)
        if field.name not in _CONDITIONS | _ONLY_NEW_CONNECTIONS | _WITHOUT_MEANING
        and (old := getattr(before, field.name, None)) != (new := getattr(after, field.name, None))
    )
    if not changes:
        return None
    return ProfileChange(
        channel_id=channel.id,
        remote=channel.remote,
        before=None if before is None else before.id,
        after=None if after is None else after.id,
        changes=changes,
    )
