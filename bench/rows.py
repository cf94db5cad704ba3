"""What is measured: the rows of the table."""

from dataclasses import dataclass, field
from enum import Enum

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


class Kind(Enum):
    """Mode of the load generator, and what its main figure counts."""

    LOAD = "load"
    IDLE = "idle"
    SETUP = "setup"
    STREAM = "stream"

    @property
    def figure(self) -> str:
        """The report's member that the two relays are compared by."""
        return "kib_per_connection" if self is Kind.IDLE else "cpu_us"

    @property
    def unit(self) -> str:
        """What the figure is."""
        return _UNITS[self]


_UNITS = {
    Kind.LOAD: "µs CPU/message",
    Kind.IDLE: "KiB/connection",
    Kind.SETUP: "µs CPU/session",
    Kind.STREAM: "µs CPU/MiB",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What has to be reached: a bound of a member of the row's result."""

    member: str
    at_most: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    Args:
        name: How ``--only`` names it.
        kind: What is done.
        tls: Whether connections are encrypted.
        size: Bytes of a message; of the long one when streaming.
        pairs: Pairs of clients, or connections.
        window: Messages of a pair under way at once; 0: has no meaning.
        options: More options of the generator.
        fresh: Relays are started anew for each round.
        most_rounds: Bound of the rounds, for runs that take long; None: none.
        targets: What has to be reached.
    """

    name: str
    kind: Kind
    tls: bool = False
    size: int = 0
    pairs: int = 1
    window: int = 0
    options: tuple[str, ...] = ()
    fresh: bool = False
    most_rounds: int | None = None
    targets: tuple[Target, ...] = field(default=())

    @property
    def figure(self) -> str:
        """The report's member that the two relays are compared by."""
        return self.kind.figure

    def arguments(self, seconds: float) -> list[str]:
        """Return the generator's options."""
        arguments = ["--mode", self.kind.value, *self.options]
        match self.kind:
            case Kind.LOAD:
                arguments += ["--size", str(self.size), "--pairs", str(self.pairs), "--window", str(self.window)]
                arguments += ["--duration", f"{seconds:g}", "--warm-up", "0.3"]
            case Kind.SETUP:
                arguments += ["--concurrency", str(self.pairs), "--duration", f"{seconds:g}", "--warm-up", "0.3"]
            case Kind.IDLE:
                arguments += ["--connections", str(self.pairs)]
            case Kind.STREAM:
                arguments += ["--total", str(self.size)]
        return arguments


def _ratio(at_most: float) -> tuple[Target, ...]:
    return (Target(member="ratio", at_most=at_most, text=f"ratio ≤ {at_most:g}"),)


def _load(name: str, size: int, pairs: int, window: int, *, tls: bool = False, targets: tuple[Target, ...] = ()) -> Row:
    return Row(name=name, kind=Kind.LOAD, tls=tls, size=size, pairs=pairs, window=window, targets=targets)


_STREAM_TARGETS = (
    Target(member="ours_rss_growth_kib_worst", at_most=8 * KIB, text="growth < 8 MiB"),
    Target(member="ours_p99_us", at_most=50_000, text="p99 < 50 ms"),
)
_IDLE_TARGET = (Target(member="ours_kib", at_most=10, text="≤ 10 KiB"),)
_SLOW_READER = ("--reader-rate", "1000000")
_SLOW_TOTAL = 16 * MIB

ROWS = (
    _load("1k-50x16", KIB, 50, 16, targets=_ratio(0.5)),
    _load("10k-50x16", 10_000, 50, 16, targets=_ratio(0.6)),
    _load("1k-50x1", KIB, 50, 1, targets=_ratio(1.5)),
    _load("1k-500x1", KIB, 500, 1, targets=_ratio(1.5)),
    _load("1k-1x1", KIB, 1, 1),
    _load("tls-1k-50x1", KIB, 50, 1, tls=True, targets=_ratio(1.7)),
    _load("tls-1k-50x16", KIB, 50, 16, tls=True),
    _load("60k-1x16", 60_000, 1, 16),
    _load("1m-1x4", MIB, 1, 4),
    Row(name="idle", kind=Kind.IDLE, pairs=1000, fresh=True, targets=_IDLE_TARGET),
    Row(name="tls-idle", kind=Kind.IDLE, tls=True, pairs=1000, fresh=True),
    Row(name="setup", kind=Kind.SETUP, pairs=32),
    Row(name="tls-setup", kind=Kind.SETUP, tls=True, pairs=32),
    Row(name="stream-1g", kind=Kind.STREAM, size=GIB, targets=_STREAM_TARGETS),
    Row(name="tls-stream-1g", kind=Kind.STREAM, tls=True, size=GIB, targets=_STREAM_TARGETS),
    Row(name="slow-reader", kind=Kind.STREAM, size=_SLOW_TOTAL, options=_SLOW_READER, most_rounds=3),
    Row(
        name="slow-reader-other-connection",
        kind=Kind.STREAM,
        size=_SLOW_TOTAL,
        options=(*_SLOW_READER, "--own-probe-connection"),
        most_rounds=3,
    ),
)
"""Sizes are bytes of a body; ``50x16`` is 50 pairs of clients with 16 messages of each under way at once."""
