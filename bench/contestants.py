"""The two relays that are measured: ours and Kamailio's msrp module, started alike, pinned alike."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.pairing import Contestant
from tests.support.certificates import Authority
from tests.support.kamailio import running_kamailio
from tests.support.relay_process import HOST, PASSWORD, running_relay

RELAY_CPU = 0
GENERATOR_CPU = 1
USERS = 20
"""Users that sessions are spread over, and source addresses of connections: both are limited, per user and address."""
SOURCE_ADDRESSES = 10
MOST_PAIRS_OF_ONE_READER = 200
"""Above it the queue to a single reading process of Kamailio overflows and messages are lost."""


class Contest:
    """Starts relays.

    Args:
        directory: Where their certificate is written.
    """

    def __init__(self, directory: Path) -> None:
        self._certificate = Authority.create(directory).issue("localhost", addresses=(HOST,))

    @contextmanager
    def ours(self, *, tls: bool) -> Iterator[Contestant]:
        """Our relay with default settings: all limits, timers and counters on."""
        kind = "tls" if tls else "tcp"
        users = [f"alice{index}" for index in range(1, USERS + 1)]
        with running_relay(kind, certificate=self._certificate, users=users, cpu=RELAY_CPU) as relay:
            yield Contestant("ours", _arguments(relay.ports[kind], relay.pid, tls))

    @contextmanager
    def kamailio(self, *, tls: bool, pairs: int) -> Iterator[Contestant]:
        """Kamailio, with as many reading processes as are cheapest for so many pairs on one CPU."""
        readers = 1 if pairs <= MOST_PAIRS_OF_ONE_READER else 2
        certificate = self._certificate if tls else None
        with running_kamailio(certificate=certificate, tcp_children=readers, cpu=RELAY_CPU) as relay:
            yield Contestant("kamailio", [*_arguments(relay.port, relay.pid, tls), "--digest-uri"])


def _arguments(port: int, pid: int, tls: bool) -> list[str]:
    options = {
        "--port": port,
        "--tree": pid,
        "--cpu": GENERATOR_CPU,
        "--user": "alice",
        "--password": PASSWORD,
        "--users": USERS,
        "--source-addresses": SOURCE_ADDRESSES,
    }
    arguments = [str(part) for option in options.items() for part in option]
    return [*arguments, "--tls"] if tls else arguments
