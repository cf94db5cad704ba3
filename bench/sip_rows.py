"""What is measured of SIP: the rows of the table."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

CAPACITY_SECONDS = 3.0
"""How long both are loaded to the full before an overload of twice that."""
OVERLOAD, RECOVERY = 2.0, 0.1
"""Rates of an overload and of the time after it, as parts of the capacity measured before."""


class Kind(Enum):
    """Mode of the load generator, and what its main figure counts."""

    MESSAGE = "message"
    REGISTER = "register"
    HOLD = "hold"
    TRANSACTIONS = "transactions"
    OVERLOAD = "overload"

    @property
    def figure(self) -> str:
        """The report's member that the two sides are compared by."""
        return _FIGURES[self][0]

    @property
    def unit(self) -> str:
        """What the figure is."""
        return _FIGURES[self][1]


_FIGURES = {
    Kind.MESSAGE: ("cpu_us", "µs CPU/message"),
    Kind.REGISTER: ("cpu_us", "µs CPU/registration"),
    Kind.HOLD: ("bytes_per_registration", "octets/registration"),
    Kind.TRANSACTIONS: ("bytes_per_transaction", "octets/transaction"),
    Kind.OVERLOAD: ("share", "answered/capacity"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What has to be reached: bounds of a member of the row's result."""

    member: str
    text: str
    at_least: float = float("-inf")
    at_most: float = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    Args:
        name: How ``--only`` names it.
        kind: What is done.
        tcp: Whether over TCP; else over UDP.
        pairs: Pairs of users, a sender and a receiver each.
        window: Messages of a sender under way at once.
        users: Those that register.
        algorithm: Of digest, demanded of REGISTER; None: nobody is asked.
        options: More options of the generator.
        peer_children: Worker processes of Kamailio.
        peer_memory_mib: Kamailio's shared memory.
        fresh: Both are started anew for each round.
        most_rounds: Bound of the rounds, for runs that take long; None: none.
        targets: What has to be reached.
    """

    name: str
    kind: Kind
    tcp: bool = False
    pairs: int = 0
    window: int = 0
    users: int = 0
    algorithm: str | None = None
    options: tuple[str, ...] = ()
    peer_children: int = 1
    peer_memory_mib: int = 1024
    fresh: bool = False
    most_rounds: int | None = None
    targets: tuple[Target, ...] = field(default=())

    @property
    def figure(self) -> str:
        """The report's member that the two sides are compared by."""
        return self.kind.figure

    def arguments(self, seconds: float) -> list[str]:
        """Return the generator's options; of an overload those that find the capacity."""
        arguments = ["--tcp"] if self.tcp else []
        match self.kind:
            case Kind.MESSAGE | Kind.TRANSACTIONS:
                arguments += self._messages(self.kind, seconds)
            case Kind.REGISTER:
                arguments += ["--mode", "register", "--users", str(self.users), "--duration", f"{seconds:g}"]
                arguments += ["--warm-up", "0.3", *(["--algorithm", self.algorithm] if self.algorithm else [])]
            case Kind.HOLD:
                arguments += ["--mode", "hold", "--users", str(self.users)]
            case Kind.OVERLOAD:
                arguments += self._messages(Kind.MESSAGE, CAPACITY_SECONDS)
        return [*arguments, *self.options]

    def overload(self, capacity: float) -> list[str]:
        """Return the generator's options for an overload of so many messages per second that can be answered."""
        arguments = ["--tcp"] if self.tcp else []
        arguments += ["--mode", "overload", "--pairs", str(self.pairs), "--rate", f"{OVERLOAD * capacity:.0f}"]
        return [*arguments, "--recovery-rate", f"{RECOVERY * capacity:.0f}", "--duration", "10", "--recovery", "10"]

    def _messages(self, kind: Kind, seconds: float) -> list[str]:
        arguments = ["--mode", kind.value, "--pairs", str(self.pairs), "--window", str(self.window)]
        return [*arguments, "--duration", f"{seconds:g}", "--warm-up", "0.3"]


def _ratio(at_most: float) -> Sequence[Target]:
    return (Target(member="ratio", at_most=at_most, text=f"ratio ≤ {at_most:g}"),)


def _messages(name: str, window: int, *, tcp: bool = False, children: int = 1) -> Row:
    targets = tuple(_ratio(1.5)) if children == 1 else ()
    return Row(
        name=name, kind=Kind.MESSAGE, tcp=tcp, pairs=50, window=window, peer_children=children, targets=targets
    )  # fmt: skip


_OVERLOAD_TARGETS = (
    Target(member="ours", at_least=0.8, text="≥ 80 % of capacity"),
    Target(member="ours_recovery_seconds_worst", at_most=5.0, text="recovery ≤ 5 s"),
)
_TRANSACTION_TARGET = (Target(member="ours", at_most=1024, text="≤ 1 KiB"),)
_LARGE = 4096
"""Shared memory with which Kamailio does not run out of it at full load."""

ROWS = (
    _messages("udp-50x1", 1),
    _messages("udp-50x16", 16),
    _messages("tcp-50x1", 1, tcp=True),
    _messages("tcp-50x16", 16, tcp=True),
    _messages("udp-50x1-2-children", 1, children=2),
    _messages("udp-50x16-2-children", 16, children=2),
    _messages("tcp-50x1-2-children", 1, tcp=True, children=2),
    _messages("tcp-50x16-2-children", 16, tcp=True, children=2),
    Row(name="register", kind=Kind.REGISTER, users=200),
    Row(name="register-md5", kind=Kind.REGISTER, users=200, algorithm="MD5"),
    Row(name="register-sha256", kind=Kind.REGISTER, users=200, algorithm="SHA-256"),
    Row(
        name="hold-20000", kind=Kind.HOLD, users=20_000, fresh=True, most_rounds=5,
        options=("--users-per-socket", "2", "--concurrency", "64"),
    ),
    Row(
        name="transactions", kind=Kind.TRANSACTIONS, pairs=50, window=4, fresh=True, most_rounds=5,
        options=("--messages", "20000", "--hold", "0"), targets=_TRANSACTION_TARGET,
    ),
    Row(
        name="overload", kind=Kind.OVERLOAD, pairs=50, window=16, fresh=True, most_rounds=3,
        peer_memory_mib=_LARGE, targets=_OVERLOAD_TARGETS,
    ),
)  # fmt: skip
"""``50x16`` is 50 pairs of users with 16 messages of each sender under way at once."""
