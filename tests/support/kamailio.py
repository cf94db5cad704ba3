"""A real Kamailio as MSRP relay (its ``msrp`` module, RFC 4976), on a free loopback port.

Its configuration is written here, by what its documentation shows for connection tracking with ``msrp_cmap_*``.
Facts about it that callers need: any user name is accepted with the one password; Authorization has to carry
``uri=``; the response to a SEND is its own, at once; with its ``tls`` module loaded it reaches TLS clients only,
so plain and TLS are two instances.
"""

import contextlib
import resource
import shutil
import socket
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import Process, free_port, wait_until

REALM = "kamailio.example"
USERNAME = "alice"
PASSWORD = "secret"
MAX_CONNECTIONS = 16_000

_CONFIGURATION = """\
#!KAMAILIO
debug=0
log_stderror=yes
auto_aliases=no
dns=no
rev_dns=no
children=1
disable_sctp=yes
listen={protocol}:{host}:{port}
tcp_children={tcp_children}
tcp_accept_no_cl=yes
tcp_rd_buf_size=65536
tcp_connection_lifetime=3600
tcp_max_connections={connections}
tcp_conn_wq_max=4194304
tcp_wq_max=268435456
open_files_limit={open_files}
{tls_settings}
loadmodule "kex.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "auth.so"
loadmodule "msrp.so"
{tls_modules}
modparam("auth", "nonce_count", 1)
modparam("auth", "qop", "auth")
modparam("msrp", "cmap_size", 12)
modparam("msrp", "use_path_addr", "{host}:{port}")

request_route {{
    sl_send_reply("403", "MSRP only");
    exit;
}}

event_route[msrp:frame-in] {{
    msrp_reply_flags("1");
    if (msrp_is_reply()) {{
        # one to a SEND ends here, one to AUTH goes back over the connection that the session's client AUTHed on
        if ($msrp(nexthops) > 0) {{
            msrp_cmap_lookup();
            msrp_relay();
        }}
        exit;
    }}
    if ($msrp(method) == "AUTH") {{
        if ($msrp(nexthops) > 0) {{
            msrp_relay();
            exit;
        }}
        if (!pv_www_authenticate("{realm}", "{password}", "0", "AUTH")) {{
            auth_get_www_authenticate("{realm}", "1", "$var(challenge)");
            msrp_reply("401", "Unauthorized", "$var(challenge)");
            exit;
        }}
        msrp_cmap_save();
        exit;
    }}
    if ($msrp(method) != "SEND" && $msrp(method) != "REPORT") {{
        msrp_reply("501", "Unknown method");
        exit;
    }}
    if ($msrp(nexthops) > 1) {{
        if ($msrp(method) == "SEND") {{
            msrp_reply("200", "OK");
        }}
        msrp_relay();
        exit;
    }}
    if (!msrp_cmap_lookup()) {{
        if ($msrp(method) == "SEND") {{
            msrp_reply("481", "No such session");
        }}
        exit;
    }}
    if ($msrp(method) == "SEND") {{
        msrp_reply("200", "OK");
    }}
    msrp_relay_flags("1");
    msrp_relay();
}}
"""

_TLS_SETTINGS = "enable_tls=yes\ntls_max_connections={connections}"

_TLS_MODULES = """\
loadmodule "tls.so"
modparam("tls", "tls_method", "TLSv1.2+")
modparam("tls", "certificate", "{certificate}")
modparam("tls", "private_key", "{private_key}")
modparam("tls", "verify_certificate", 0)
modparam("tls", "require_certificate", 0)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kamailio:
    """A running instance."""

    host: str
    port: int
    tls: bool
    pid: int

    @property
    def uri(self) -> str:
        """Its MSRP URI, to be used as To-Path of AUTH."""
        return f"{'msrps' if self.tls else 'msrp'}://{self.host}:{self.port};tcp"


def is_installed() -> bool:
    """Tell whether this machine has Kamailio."""
    return shutil.which("kamailio") is not None


@contextmanager
def running_kamailio(
    *, certificate: tuple[str, str] | None = None, tcp_children: int = 1, cpu: int | None = None
) -> Iterator[Kamailio]:
    """Run Kamailio as MSRP relay until the block ends.

    Args:
        certificate: PEM files (certificate, key) for a TLS listener; None: a plain one.
        tcp_children: Number of processes that read from connections. One is cheapest on a single CPU: when the
            two ends of a session are with different ones, each message asks the main process for a descriptor.
        cpu: CPU that all its processes are pinned to; None: any.

    Raises:
        ProcessError: It did not start; the text holds its log.
    """
    with tempfile.TemporaryDirectory(prefix="wigwag-kamailio-") as name:
        directory = Path(name)
        host, port = "127.0.0.1", free_port()
        configuration = directory / "kamailio.cfg"
        configuration.write_text(_configuration(host, port, certificate, tcp_children))
        command: list[str | Path] = [
            "kamailio",
            "-DD",
            "-E",
            "-m",
            "512",
            "-M",
            "16",
            "-Y",
            name,
            "-w",
            name,
            "-f",
            configuration,
        ]
        with Process(command, log=directory / "kamailio.log", cpu=cpu) as process:
            process.wait_for_port(host, port)
            wait_until(lambda: _answers(host, port, certificate), seconds=15.0, what="answer from Kamailio")
            yield Kamailio(host=host, port=port, tls=certificate is not None, pid=process.pid)


def _answers(host: str, port: int, certificate: tuple[str, str] | None) -> bool:
    """Tell whether a request is answered: it listens before it has started the processes that do that."""
    uri = f"msrp://{host}:{port};tcp"
    request = f"MSRP started1 AUTH\r\nTo-Path: {uri}\r\nFrom-Path: {uri}\r\n-------started1$\r\n"
    try:
        with contextlib.ExitStack() as stack:
            connection: socket.socket = stack.enter_context(socket.create_connection((host, port), timeout=1.0))
            if certificate:
                context = ssl.create_default_context()
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                connection = stack.enter_context(context.wrap_socket(connection))
            connection.sendall(request.encode())
            return connection.recv(1) == b"M"
    except OSError:
        return False


def _configuration(host: str, port: int, certificate: tuple[str, str] | None, tcp_children: int) -> str:
    tls_settings, tls_modules = "", ""
    if certificate:
        tls_settings = _TLS_SETTINGS.format(connections=MAX_CONNECTIONS)
        tls_modules = _TLS_MODULES.format(certificate=certificate[0], private_key=certificate[1])
    return _CONFIGURATION.format(
        protocol="tls" if certificate else "tcp",
        host=host,
        port=port,
        tcp_children=tcp_children,
        realm=REALM,
        password=PASSWORD,
        connections=MAX_CONNECTIONS,
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        tls_settings=tls_settings,
        tls_modules=tls_modules,
    )
