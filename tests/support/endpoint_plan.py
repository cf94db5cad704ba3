"""What an endpoint process is told to do, as a JSON file."""

from pathlib import Path

import msgspec


class Relay(msgspec.Struct, frozen=True, kw_only=True):
    """The relay, reached at several addresses, as its clients know it."""

    uri: str
    """To-Path of AUTH: the cluster's name and port."""
    addresses: tuple[tuple[str, int], ...]
    """Where it is reached, a pod each; the client chooses."""
    ca_file: str | None = None
    """TLS, with certificates signed by this authority for the host of ``uri``; None: plain TCP."""
    username: str = "alice"
    password: str = "secret"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint process."""

    name: str
    """Its name; its recording and what it tells the other processes carry it."""
    directory: str
    """Shared by all endpoint processes of a run: holds the recordings, and what they signal each other."""
    relay: Relay
    clients: tuple[tuple[str, str], ...]
    """Names of its clients, each with the name of its peer, in this process or in another one."""
    rate: float
    """Messages per second that all its clients together send while they can; 0: they only receive."""
    octets: int = 60
    """Length of a message, at most 2048: more may be cut into chunks."""
    foreign: bool = False
    """Whether a client takes a new URI for each connection, as endpoints do that don't know of resuming."""
    bare: bool = False
    """Whether the clients connect to the relay of their peers without having one of their own: no AUTH. Their path is
    told once their first message was taken."""
    success_reports: bool = False
    """Whether success REPORTs are asked for."""
    pace: float = 100.0
    """Connections per second that the process opens at most."""
    jitter: float = 0.5
    """Seconds within which a client whose connection was lost connects again; twice as many after each failure."""
    answer_timeout: float = 30.0
    """Seconds without an answer after which a client gives its connection up (RFC 4975 section 7.1.1)."""
    seconds: float | None = None
    """Sending stops after so many seconds; None: when told to."""

    @property
    def recording(self) -> Path:
        """Where the process records what happens."""
        return Path(self.directory, f"{self.name}.recording.jsonl")


def pairs(first: int, count: int, *, reverse: bool = False) -> tuple[tuple[str, str], ...]:
    """Return clients a1, a2 ... with their peers b1, b2 ...; ``reverse``: the b's with their a's."""
    sides = ("b", "a") if reverse else ("a", "b")
    return tuple((f"{sides[0]}{index}", f"{sides[1]}{index}") for index in range(first, first + count))
