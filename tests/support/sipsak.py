"""sipsak, with which operators ask whether a server is alive, and test its registrar.

It looks up the host of every URI, so it works in the domain ``RESOLVABLE``; it answers digest challenges by MD5 alone
and reads the first one only. Version 0.9.8.1 crashes when it has to authenticate a MESSAGE, so it sends none here.
"""

import subprocess

from tests.support.edge_under_test import RESOLVABLE, SipEdge
from tests.support.peers import require_peer

SECONDS = 30.0
"""Longest run."""


def sipsak(edge: SipEdge, *arguments: str, transport: str = "udp") -> "subprocess.CompletedProcess[str]":
    """Run sipsak to its end, its requests sent to a listener of the edge whatever their URIs say."""
    program = require_peer("sipsak")
    return subprocess.run(
        [program, "-v", "-E", transport, "-p", edge.address(transport), *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS,
        check=False,
    )


def register(edge: SipEdge, user: str, password: str, transport: str = "udp") -> "subprocess.CompletedProcess[str]":
    """Run its test of the registrar: a contact is registered with digest."""
    contact = f"sip:{user}@{edge.host}:5999"
    account = ("-u", user, "-a", password, "-s", f"sip:{user}@{RESOLVABLE}")
    return sipsak(edge, "-U", "-x", "60", "-C", contact, *account, transport=transport)
