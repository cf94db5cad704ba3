"""A real Kamailio as HEP capture server (its ``sipcapture`` module), which writes down what it understood."""

import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.peers import require_peer
from tests.support.processes import Process, free_port, wait_until

_CHUNKS = ("0x001", "0x002", "0x003", "0x004", "0x005", "0x006", "0x007", "0x008", "0x009", "0x00a", "0x00b", "0x00c",
           "0x00e", "0x011")  # fmt: skip
_BEGIN, _END = "HEP-BEGIN", "HEP-END"

_CONFIGURATION = """\
#!KAMAILIO
debug=0
log_stderror=yes
auto_aliases=no
dns=no
rev_dns=no
children=1
disable_tcp=yes
listen=udp:127.0.0.1:{port}
loadmodule "kex.so"
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "db_text.so"
loadmodule "sipcapture.so"
modparam("sipcapture", "db_url", "text://{directory}")
modparam("sipcapture", "capture_on", 1)
modparam("sipcapture", "hep_capture_on", 1)
modparam("sipcapture", "nonsip_hook", 1)

request_route {{
    drop;
}}

event_route[sipcapture:request] {{
    xlog("L_ERR", "{begin}$hep(version)|{chunks}|$hep(0x00f){end}\\n");
}}
"""


@dataclass(frozen=True, slots=True)
class Understood:
    """What the capture server made of one packet."""

    version: str
    chunks: dict[int, str]
    """By type, as text; empty: the packet has none."""
    payload: str


class CaptureServer:
    """A running instance."""

    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self._log = log

    def understood(self, number: int) -> list[Understood]:
        """The first packets, once there are ``number``."""
        wait_until(lambda: self._text().count(_END) >= number, seconds=10.0, what="captured packets")
        parts = [part.partition(_END)[0] for part in self._text().split(_BEGIN)[1:]]
        return [_understood(part.split("|", len(_CHUNKS) + 1)) for part in parts]

    def _text(self) -> str:
        return self._log.read_bytes().decode()


def _understood(fields: list[str]) -> Understood:
    chunks = {int(name, 16): value for name, value in zip(_CHUNKS, fields[1:-1], strict=True)}
    return Understood(fields[0], chunks, fields[-1])


@contextmanager
def running_capture_server() -> Iterator[CaptureServer]:
    """Run Kamailio as capture server; skips the test by name where it is not installed."""
    kamailio = require_peer("kamailio")
    with tempfile.TemporaryDirectory(prefix="wigwag-hep-") as name:
        directory, port = Path(name), free_port()
        (directory / "version").write_text("table_name(str) table_version(int)\n")
        configuration, log = directory / "kamailio.cfg", directory / "kamailio.log"
        chunks = "|".join(f"$hep({chunk})" for chunk in _CHUNKS)
        configuration.write_text(
            _CONFIGURATION.format(port=port, directory=name, chunks=chunks, begin=_BEGIN, end=_END)
        )
        command: list[str | Path] = [
            kamailio,
            "-DD",
            "-E",
            "-m",
            "64",
            "-M",
            "8",
            "-Y",
            name,
            "-w",
            name,
            "-f",
            configuration,
        ]
        with Process(command, log=log):
            wait_until(lambda: _is_taken(port), seconds=15.0, what="Kamailio's socket")
            yield CaptureServer(port, log)


def _is_taken(port: int) -> bool:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
