"""Linphone without a screen: ``linphone-daemon`` with a configuration of its own, told what to do on standard input.

What it does by itself: it answers each message with an IMDN of delivery (RFC 5438), sent as ``message/imdn+xml``
without a CPIM envelope and compressed (``Content-Encoding: deflate``), so a proxy has to leave octets alone; it reads
messages in CPIM, and ``application/im-iscomposing+xml``. What Debian's version 5.1 has no command for: CPIM for its own
messages, to tell that it composes, and to mark a message as displayed (its library can, its programs can't).
"""

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.edge_under_test import SipEdge
from tests.support.peers import require_peer
from tests.support.processes import wait_until

SECONDS: Final = 15.0
"""Longest wait for what the daemon tells."""

_CONFIGURATION: Final = """\
[sip]
sip_port=-1
sip_tcp_port=-1
sip_tls_port=-1
use_ipv6=0
default_proxy=0
root_ca={ca_file}
[proxy_0]
reg_proxy=<sip:{address};transport={transport}>
reg_route=<sip:{address};transport={transport};lr>
reg_identity=sip:{user}@{domain}
reg_expires=300
reg_sendregister=1
publish=0
[auth_info_0]
username={user}
passwd={password}
realm={domain}
"""


class Linphone:
    """A running daemon.

    Args:
        process: The process.
        directory: Holds what it prints and its log.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", directory: Path) -> None:
        self._process = process
        self._directory = directory

    @property
    def told(self) -> str:
        """What it printed: answers to commands, and events."""
        return (self._directory / "output").read_text(errors="replace")

    @property
    def log(self) -> str:
        """Its log, which holds every SIP message as it was sent and received."""
        file = self._directory / "log"
        return file.read_text(errors="replace") if file.exists() else ""

    def do(self, command: str) -> None:
        """Give it a command of its own language."""
        assert self._process.stdin is not None
        self._process.stdin.write(command.encode() + b"\n")
        self._process.stdin.flush()

    def send(self, to: str, text: str) -> None:
        """Let it send a message to an address-of-record."""
        self.do(f"message {to} {text}")

    def wait_until_told(self, text: str, count: int = 1) -> None:
        """Wait until it printed ``text`` that often.

        Raises:
            AssertionError: It did not; the text holds what it printed, and the end of its log.
        """
        self._wait(text, lambda: self.told.count(text) >= count)

    def wait_until_logged(self, text: str, count: int = 1) -> None:
        """Wait until its log holds ``text`` that often.

        Raises:
            AssertionError: It did not; the text holds what it printed, and the end of its log.
        """
        self._wait(text, lambda: self.log.count(text) >= count)

    def wait_until_received(self, text: str) -> None:
        """Wait until it has told of a message with this text."""
        self.wait_until_told(f'Content: "{text}"')

    def wait_until_delivered(self, count: int = 1) -> None:
        """Wait until as many of its messages were confirmed by an IMDN of delivery."""
        self.wait_until_logged("to DeliveredToUser", count)

    def _wait(self, text: str, condition: Callable[[], bool]) -> None:
        try:
            wait_until(condition, seconds=SECONDS, what=repr(text))
        except TimeoutError as error:
            raise AssertionError(f"{error} of Linphone: {self.told[-2000:]}\n{self.log[-6000:]}") from None


@contextmanager
def linphone(
    edge: SipEdge, user: str, *, transport: str = "tcp", password: str | None = None, state: str = "Ok"
) -> Iterator[Linphone]:
    """Run Linphone until the block ends; then it removes its binding.

    Args:
        edge: Where it registers.
        user: Who it is.
        transport: ``udp``, ``tcp`` or ``tls``.
        password: Another than the user's own.
        state: How its registration ends: ``Ok`` or ``Failed``.
    """
    program = require_peer("linphone-daemon")
    with tempfile.TemporaryDirectory(prefix="wigwag-linphone-") as name:
        directory = Path(name)
        for folder in (".config/linphone", ".local/share/linphone"):
            (directory / folder).mkdir(parents=True)
        (directory / "rc").write_text(_configuration(edge, user, transport, password or edge.users[user]))
        command: list[str | Path] = [
            program,
            "--config",
            directory / "rc",
            "--disable-stats-events",
            "--log",
            directory / "log",
        ]
        with (directory / "output").open("wb") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=output, stderr=output, env={"HOME": name, "PATH": "/usr/bin"}
            )
        try:
            daemon = Linphone(process, directory)
            daemon.wait_until_logged(f"to [LinphoneRegistration{state}]")
            yield daemon
            daemon.do("quit")
            process.wait(SECONDS)
        finally:
            process.kill()
            process.communicate()


def _configuration(edge: SipEdge, user: str, transport: str, password: str) -> str:
    # Its TLS library compares host names only, no addresses.
    address = f"localhost:{edge.ports['tls']}" if transport == "tls" else edge.address(transport)
    return _CONFIGURATION.format(
        ca_file=edge.ca_file,
        address=address,
        transport=transport,
        user=user,
        domain=edge.domain,
        password=password,
    )
