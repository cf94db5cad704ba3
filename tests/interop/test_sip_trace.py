"""A trace of SIP: tshark decodes every packet of the capture file, and the capture server is shown the same."""

import json
import socket
import subprocess
from pathlib import Path

from tests.support.node import relay_node
from tests.support.peers import require_peer
from tests.support.processes import free_port
from tests.support.sip_phone import Phone

DOMAIN = "wigwag.example"
PASSWORDS = {"alice": "alice-secret", "bob": "bob-secret"}
HOST = "127.0.0.1"
FIELDS = ("sip.Method", "sip.Status-Code", "udp.port", "tcp.port", "_ws.malformed")


def decoded(file: Path, port: int) -> list[list[str]]:
    """Return what tshark makes of each packet."""
    command = ["tshark", "-r", str(file), "-d", f"udp.port=={port},sip", "-d", f"tcp.port=={port},sip", "-T", "fields"]
    wanted = [part for field in FIELDS for part in ("-e", field)]
    result = subprocess.run([*command, *wanted], capture_output=True, text=True, timeout=60, check=True)
    return [line.split("\t") for line in result.stdout.splitlines()]


def test_a_users_sip_is_in_the_capture_file_and_at_the_capture_server(tmp_path: Path) -> None:
    require_peer("tshark")
    port = free_port(HOST)
    listeners = [{"name": f"sip-{kind}", "kind": kind, "host": HOST, "port": port} for kind in ("udp", "tcp")]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((HOST, 0))
        server.setblocking(False)
        settings = {
            "users": [{"username": name, "domain": DOMAIN, "password": word} for name, word in PASSWORDS.items()],
            "relay": {"listeners": [], "sip": {"listeners": listeners, "domains": [DOMAIN]}},
            "trace": {"hep": f"udp:{HOST}:{server.getsockname()[1]}", "hep_capture_id": 7},
        }
        with relay_node(tmp_path, settings) as node:
            started = json.loads(node.command("trace", f"alice@{DOMAIN}", "--json").stdout)[0]
            edge = (HOST, port)
            with (
                Phone("alice", DOMAIN, PASSWORDS["alice"], edge) as alice,
                Phone("bob", DOMAIN, PASSWORDS["bob"], edge, kind="tcp") as bob,
            ):
                assert alice.register().status == bob.register().status == 200
                bob.answer()
                assert alice.message("bob", "nobody may read this").status == 200
            ended = json.loads(node.command("trace", f"alice@{DOMAIN}", "--off", "--json").stdout)[0]
            packets = decoded(Path(started["file"]), port)
            content = Path(started["file"]).read_bytes()
        shown = [server.recv(65_535) for _ in range(ended["packets"])]
    assert len(packets) == ended["packets"]
    assert [method or status for method, status, *_ in packets][-4:] == ["MESSAGE", "MESSAGE", "200", "200"]
    assert {bool(udp) for _, _, udp, *_ in packets} == {True, False}
    assert [packet for packet in packets if packet[-1]] == []
    assert b"nobody may read this" not in content
    assert b"response=" not in content
    assert {packet[:4] for packet in shown} == {b"HEP3"}
    assert sum(b"MESSAGE sip:bob" in packet for packet in shown) >= 2
