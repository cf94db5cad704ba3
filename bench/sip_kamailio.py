"""A real Kamailio as registrar and stateful proxy for MESSAGE: ``usrloc``, ``registrar``, ``tm``, ``auth`` if asked.

Its configuration is written here, in the order of checks of the one that comes with it, without what a benchmark on
loopback has no use for (NAT, presence, accounting, flood detection): that is its best case.
"""

import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import Process, free_port

HOST = "127.0.0.1"
DOMAIN = "wigwag.example"
PASSWORD = "secret"
SHARED_MEMORY_MIB = 1024
"""It keeps some 15 KB for 5 s of each message: above 13,000 a second for longer it needs more, or refuses."""
MAX_CONNECTIONS = 16_000
RECEIVE_BUFFER = 4 * 1024 * 1024
"""Octets that wait for its UDP worker; with its default of 256 KiB some hundred requests at once are lost."""

_CONFIGURATION = """\
#!KAMAILIO
debug=0
log_stderror=yes
auto_aliases=no
alias="{domain}"
dns=no
rev_dns=no
children={children}
disable_sctp=yes
listen=udp:{host}:{port}
listen=tcp:{host}:{port}
maxbuffer={buffer}
tcp_children={children}
tcp_rd_buf_size=65536
tcp_connection_lifetime=3600
tcp_max_connections={connections}
tcp_conn_wq_max=4194304
tcp_wq_max=268435456
open_files_limit={open_files}
shm_force_alloc={touch}
loadmodule "kex.so"
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "sanity.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "auth.so"
modparam("usrloc", "db_mode", 0)
modparam("usrloc", "hash_size", 14)
modparam("registrar", "max_expires", 3600)
modparam("auth", "nonce_count", 1)
modparam("auth", "qop", "auth")
{auth_parameters}

request_route {{
    if (!mf_process_maxfwd_header("10")) {{
        sl_send_reply("483", "Too Many Hops");
        exit;
    }}
    if (!sanity_check("17895", "7")) {{
        exit;
    }}
    if (is_method("CANCEL")) {{
        if (t_check_trans()) {{
            t_relay();
        }}
        exit;
    }}
    if (!is_method("ACK") && t_precheck_trans()) {{
        t_check_trans();
        exit;
    }}
    t_check_trans();
    if (has_totag()) {{
        if (!loose_route()) {{
            sl_send_reply("404", "Not here");
            exit;
        }}
        t_relay();
        exit;
    }}
    if (is_method("REGISTER")) {{
        {authenticate}
        if (!save("location")) {{
            sl_reply_error();
        }}
        exit;
    }}
    if (!lookup("location")) {{
        sl_send_reply("404", "Not Found");
        exit;
    }}
    if (!t_relay()) {{
        sl_reply_error();
    }}
}}
"""

_AUTHENTICATE = """\
if (!pv_www_authenticate("$td", "{password}", "0")) {{
            www_challenge("$td", "1");
            exit;
        }}
        consume_credentials();"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registrar:
    """A running instance; UDP and TCP are on the same port."""

    port: int
    pid: int


@contextmanager
def running_registrar(
    *,
    algorithm: str | None = None,
    children: int = 1,
    memory_mib: int = SHARED_MEMORY_MIB,
    touch: bool = False,
    cpu: int | None = None,
) -> Iterator[Registrar]:
    """Run Kamailio until the block ends.

    Args:
        algorithm: Of digest, ``MD5`` or ``SHA-256``, demanded of REGISTER; None: nobody is asked.
        children: Processes that read datagrams, and as many that read from connections.
        memory_mib: Shared memory of all its processes.
        touch: Whether it uses all its shared memory at the start, so that later nothing waits for the kernel to find a
            page; its memory then tells nothing.
        cpu: CPU that all its processes are pinned to; None: any.

    Raises:
        ProcessError: It did not start; the text holds its log.
    """
    with tempfile.TemporaryDirectory(prefix="wigwag-kamailio-") as name:
        directory, port = Path(name), free_port(HOST)
        configuration = directory / "kamailio.cfg"
        configuration.write_text(_configuration(port, algorithm, children, touch))
        command: list[str | Path] = ["kamailio", "-DD", "-E", "-m", str(memory_mib), "-M", "16"]
        command += ["-Y", name, "-w", name, "-f", configuration]
        with Process(command, log=directory / "kamailio.log", cpu=cpu) as process:
            process.wait_for_port(HOST, port, seconds=30.0)
            yield Registrar(port=port, pid=process.pid)


def _configuration(port: int, algorithm: str | None, children: int, touch: bool) -> str:
    return _CONFIGURATION.format(
        host=HOST,
        port=port,
        domain=DOMAIN,
        children=children,
        buffer=RECEIVE_BUFFER,
        touch="yes" if touch else "no",
        connections=MAX_CONNECTIONS,
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        auth_parameters=f'modparam("auth", "algorithm", "{algorithm}")' if algorithm else "",
        authenticate=_AUTHENTICATE.format(password=PASSWORD) if algorithm else "",
    )
