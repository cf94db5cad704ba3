"""A real Kamailio as SIP registrar and proxy (usrloc, registrar, tm, auth, websocket), on free loopback ports.

Users, passwords and the domain are those of ``tests.support.edge_under_test``. It asks for digest authentication (MD5)
in REGISTER and in whatever a user of its domain sends outside of a dialog, forks in parallel to all contacts, and
answers 480 for whom it can't reach.
"""

import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.certificates import Authority
from tests.support.edge_under_test import DOMAIN, TRANSPORTS, USERS, SipEdge, free_sip_port
from tests.support.processes import Process, wait_until

HOST: Final = "127.0.0.1"

_CONFIGURATION = """\
#!KAMAILIO
debug=2
log_stderror=yes
auto_aliases=no
alias="{domain}"
alias="localhost"
dns=no
rev_dns=no
children=2
tcp_children=2
disable_sctp=yes
enable_tls=yes
tcp_accept_no_cl=yes
tcp_connection_lifetime=3600
listen=udp:{host}:{udp}
listen=tcp:{host}:{tcp}
listen=tls:{host}:{tls}
listen=tcp:{host}:{ws}
listen=tls:{host}:{wss}
loadmodule "kex.so"
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "auth.so"
loadmodule "htable.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "nathelper.so"
loadmodule "xhttp.so"
loadmodule "websocket.so"
loadmodule "tls.so"
modparam("tls", "tls_method", "TLSv1.2+")
modparam("tls", "certificate", "{certificate}")
modparam("tls", "private_key", "{private_key}")
modparam("tls", "verify_certificate", 0)
modparam("tls", "require_certificate", 0)
modparam("htable", "htable", "users=>size=4;")
modparam("usrloc", "db_mode", 0)
modparam("registrar", "min_expires", 10)
modparam("registrar", "max_expires", 3600)
modparam("registrar", "received_avp", "$avp(received)")
modparam("nathelper", "received_avp", "$avp(received)")
modparam("rr", "enable_double_rr", 1)
modparam("rr", "append_fromtag", 1)
modparam("tm", "fr_timer", 5000)
modparam("tm", "fr_inv_timer", 30000)

event_route[htable:mod-init] {{
{users}
}}

event_route[xhttp:request] {{
    if ($hdr(Upgrade) =~ "websocket" && $hdr(Connection) =~ "Upgrade" && ws_handle_handshake()) {{
        exit;
    }}
    xhttp_reply("404", "Not Found", "", "");
}}

request_route {{
    if (!mf_process_maxfwd_header("10")) {{
        sl_send_reply("483", "Too Many Hops");
        exit;
    }}
    force_rport();
    if (is_method("CANCEL")) {{
        if (t_check_trans()) {{
            t_relay();
        }}
        exit;
    }}
    if (has_totag()) {{
        if (loose_route()) {{
            handle_ruri_alias();
            if (is_method("INVITE|UPDATE|SUBSCRIBE")) {{
                add_contact_alias();
            }}
            route(RELAY);
        }}
        if (is_method("ACK")) {{
            if (t_check_trans()) {{
                t_relay();
            }}
            exit;
        }}
        sl_send_reply("404", "Not Found");
        exit;
    }}
    t_check_trans();
    if (is_method("OPTIONS") && uri == myself && $rU == $null) {{
        sl_send_reply("200", "OK");
        exit;
    }}
    if (is_method("REGISTER")) {{
        route(REGISTER);
    }}
    {inside}
    if (from_uri != myself) {{
        sl_send_reply("403", "Forbidden");
        exit;
    }}
    if (!pv_proxy_authenticate("$fd", "$sht(users=>$fU)", "0") || $au != $fU) {{
        proxy_challenge("$fd", "1");
        exit;
    }}
    consume_credentials();
    if (is_method("INVITE|SUBSCRIBE")) {{
        record_route();
        add_contact_alias();
    }}
    if (uri != myself) {{
        {outside}
        exit;
    }}
    if (!lookup("location")) {{
        sl_send_reply("480", "Temporarily Unavailable");
        exit;
    }}
    route(RELAY);
}}

route[INSIDE] {{
    if (is_method("INVITE|SUBSCRIBE")) {{
        record_route();
        add_contact_alias();
    }}
    if (!lookup("location")) {{
        sl_send_reply("480", "Temporarily Unavailable");
        exit;
    }}
    route(RELAY);
}}

route[REGISTER] {{
    if (!pv_www_authenticate("$td", "$sht(users=>$tU)", "0") || $au != $tU) {{
        www_challenge("$td", "1");
        exit;
    }}
    fix_nated_register();
    if (!save("location")) {{
        sl_reply_error();
    }}
    exit;
}}

route[RELAY] {{
    t_on_reply("ALIAS");
    if (!t_relay()) {{
        sl_reply_error();
    }}
    exit;
}}

onreply_route[ALIAS] {{
    if (is_method("INVITE") && status =~ "[12][0-9][0-9]") {{
        add_contact_alias();
    }}
}}
"""


@contextmanager
def kamailio_edge(
    *, host: str = HOST, domain: str = DOMAIN, next_hop: str | None = None, trusted: str | None = None
) -> Iterator[SipEdge]:
    """Run Kamailio as registrar and proxy until the block ends.

    Args:
        host: Loopback address of its listeners.
        domain: The domain that it serves.
        next_hop: Where its users' requests to other domains go, ``host:port`` over UDP; None: nowhere.
        trusted: Address from which requests for its users are taken without credentials; None: none is.

    Raises:
        ProcessError: It did not start; the text holds its log.
    """
    with tempfile.TemporaryDirectory(prefix="wigwag-kamailio-") as name:
        directory = Path(name)
        authority = Authority.create(directory)
        certificate, private_key = authority.issue("localhost", domain, addresses=(host,))
        ports = {transport: free_sip_port(host) for transport in TRANSPORTS}
        configuration = directory / "kamailio.cfg"
        outside = f'$du = "sip:{next_hop}"; route(RELAY);' if next_hop else 'sl_send_reply("403", "Forbidden");'
        inside = f"if (src_ip == {trusted} && uri == myself) {{ route(INSIDE); }}" if trusted else ""
        users = "\n".join(f'    $sht(users=>{user}) = "{password}";' for user, password in USERS.items())
        configuration.write_text(
            _CONFIGURATION.format(
                host=host,
                domain=domain,
                outside=outside,
                inside=inside,
                certificate=certificate,
                private_key=private_key,
                users=users,
                **ports,
            )
        )
        command = ["kamailio", "-DD", "-E", "-m", "64", "-M", "8", "-Y", name, "-w", name, "-f", str(configuration)]
        with Process(command, log=directory / "kamailio.log") as process:
            process.wait_for_port(host, ports["tcp"])
            wait_until(lambda: answers_options(host, ports["udp"]), seconds=15.0, what="answer from Kamailio")
            yield SipEdge(
                name="kamailio", host=host, domain=domain, ports=ports, ca_file=authority.ca_file, log=process.log
            )


def answers_options(host: str, port: int) -> bool:
    """Tell whether OPTIONS over UDP is answered, whatever the answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.5)
        probe.connect((host, port))
        own_port = probe.getsockname()[1]
        try:
            probe.send(_OPTIONS.format(host=host, port=own_port, domain=DOMAIN).encode())
            return probe.recv(65535).startswith(b"SIP/2.0 ")
        except OSError:
            return False


_OPTIONS = (
    "OPTIONS sip:{domain} SIP/2.0\r\n"
    "Via: SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bK-started-{port}\r\n"
    "Max-Forwards: 70\r\n"
    "From: <sip:started@{domain}>;tag={port}\r\n"
    "To: <sip:{domain}>\r\n"
    "Call-ID: started-{port}@{host}\r\n"
    "CSeq: 1 OPTIONS\r\n"
    "Content-Length: 0\r\n\r\n"
)
