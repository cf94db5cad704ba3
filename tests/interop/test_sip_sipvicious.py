"""sipvicious finds a SIP server, and neither its users nor their passwords."""

import re
import socket
from pathlib import Path

import pytest

from tests.support.edge_under_test import SipEdge
from tests.support.sipvicious import NOTHING, svcrack, svmap, svwar

NAMES = ["100", "101", "alice", "bob", "nobody", "zed"]
"""Users and others, in turn."""


def request(edge: SipEdge, port: int, method: str, user: str, to: str) -> bytes:
    """Return a request without credentials, from a port of this host."""
    target = edge.domain if method == "REGISTER" else f"{to}@{edge.domain}"
    return (
        f"{method} sip:{target} SIP/2.0\r\nVia: SIP/2.0/UDP {edge.host}:{port};branch=z9hG4bK-{port};rport\r\n"
        f"From: <sip:{user}@{edge.domain}>;tag=1\r\nTo: <sip:{to}@{edge.domain}>\r\nCall-ID: {port}\r\n"
        f"CSeq: 1 {method}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def answer(edge: SipEdge, method: str, user: str, to: str) -> str:
    """Return what a stranger is answered, without what differs from answer to answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.settimeout(5.0)
        stranger.connect((edge.host, edge.ports["udp"]))
        port = stranger.getsockname()[1]
        stranger.send(request(edge, port, method, user, to))
        text = stranger.recv(65535).decode()
    for name in {user, to}:
        text = text.replace(f"sip:{name}@", "sip:USER@")
    return re.sub(rf'\b{port}\b|tag=[^\s;]+|nonce="[^"]+"', "X", text)


def test_a_challenge_is_not_sent_again_to_an_address_that_may_be_forged(edge: SipEdge) -> None:
    """RFC 3261 section 26.3.2.4: who is not authenticated gets one response; else we flood whom he names."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as victim:
        victim.settimeout(2.0)
        victim.connect((edge.host, edge.ports["udp"]))
        victim.send(request(edge, victim.getsockname()[1], "INVITE", "alice", "bob"))
        assert b"SIP/2.0 407" in victim.recv(65535)
        with pytest.raises(TimeoutError):
            victim.recv(65535)


@pytest.mark.parametrize("method", ["OPTIONS", "INVITE"])
def test_the_server_is_found_by_its_answer(edge: SipEdge, tmp_path: Path, method: str) -> None:
    assert edge.address("udp") in svmap(edge, tmp_path, method)


@pytest.mark.parametrize("method", ["REGISTER", "OPTIONS", "INVITE"])
def test_no_name_is_told_from_another(edge: SipEdge, tmp_path: Path, method: str) -> None:
    assert NOTHING in svwar(edge, tmp_path, NAMES, method)


@pytest.mark.parametrize("method", ["REGISTER", "OPTIONS", "INVITE", "MESSAGE", "SUBSCRIBE"])
def test_who_is_a_user_and_who_is_not_get_the_same_answer(edge: SipEdge, method: str) -> None:
    as_sender = {answer(edge, method, name, name if method == "REGISTER" else "bob") for name in NAMES}
    as_receiver = {answer(edge, method, name if method == "REGISTER" else "nobody", name) for name in NAMES}
    assert len(as_sender | as_receiver) == 1


def test_no_weak_password_is_found(edge: SipEdge, tmp_path: Path) -> None:
    assert NOTHING in svcrack(edge, tmp_path, "100", ["100", "1234", "letmein"])


def test_the_tool_finds_a_password_that_is_in_its_list(edge: SipEdge, tmp_path: Path) -> None:
    assert edge.users["100"] in svcrack(edge, tmp_path, "100", ["1234", edge.users["100"]])
