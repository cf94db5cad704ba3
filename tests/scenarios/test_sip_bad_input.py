"""Hostile and broken peers at the SIP edge's front door, while a good conversation goes on undisturbed."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.node import RelayNode, relay_node
from tests.support.processes import free_port, wait_until
from tests.support.sip_phone import PATIENCE, Phone

DOMAIN = "wigwag.example"
PASSWORDS = {"alice": "alice-secret", "bob": "bob-secret", "mallory": "another"}
HOST = "127.0.0.1"
ATTACKER = "127.0.0.66"
"""Bans hold for an address, and the good ones have another."""
LARGEST_GROWTH = 24 * 2**20
"""Bytes by which all of it may raise the process's memory."""
LIMITS = {"header_timeout": 1.0, "first_message_timeout": 3.0}
ROUNDS = 300


class Edge:
    """A node that speaks SIP over UDP and TCP on one port."""

    def __init__(self, node: RelayNode, port: int) -> None:
        self.node = node
        self.address = (HOST, port)

    def phone(self, user: str, *, kind: str = "udp", host: str = HOST, password: str = "") -> Phone:
        """Return a user's phone."""
        return Phone(user, DOMAIN, password or PASSWORDS[user], self.address, kind=kind, host=host)

    def stream(self) -> socket.socket:
        """Open a connection from the attacker's address."""
        return socket.create_connection(self.address, timeout=PATIENCE, source_address=(ATTACKER, 0))


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    port = free_port(HOST)
    listeners = [{"name": f"sip-{kind}", "kind": kind, "host": HOST, "port": port} for kind in ("udp", "tcp")]
    settings = {
        "users": [{"username": name, "domain": DOMAIN, "password": word} for name, word in PASSWORDS.items()],
        "relay": {"listeners": [], "sip": {"listeners": listeners, "domains": [DOMAIN], "limits": LIMITS}},
    }
    directory: Path = tmp_path_factory.mktemp("edge")
    with relay_node(directory, settings) as node:
        yield Edge(node, port)


@contextmanager
def good_conversation(edge: Edge) -> Iterator[None]:
    """Let alice write to bob while the block runs; every message arrives, once, and is answered 200."""
    with edge.phone("alice") as alice, edge.phone("bob", kind="tcp") as bob:
        assert alice.register().status == bob.register().status == 200
        bob.answer()
        sent: list[tuple[str, int]] = []
        going_on = threading.Event()

        def talk() -> None:
            while not going_on.wait(0.005):
                text = f"number {len(sent)}"
                sent.append((text, alice.message("bob", text).status))

        talking = threading.Thread(target=talk)
        talking.start()
        try:
            wait_until(lambda: len(sent) > 2, seconds=PATIENCE, what="messages before")
            yield
            before = len(sent)
            wait_until(lambda: len(sent) > before + 2, seconds=PATIENCE, what="messages after")
        finally:
            going_on.set()
            talking.join(2 * PATIENCE)
        assert {status for _, status in sent} == {200}
        assert [request.body.decode() for request in bob.received] == [text for text, _ in sent]


def head(method: str = "OPTIONS", *more: str, user: str = "x") -> bytes:
    """A request's head over TCP."""
    lines = (
        f"{method} sip:{DOMAIN} SIP/2.0", "Via: SIP/2.0/TCP 127.0.0.66:9;branch=z9hG4bK1", "Max-Forwards: 70",
        f"From: <sip:{user}@{DOMAIN}>;tag=1", f"To: <sip:{user}@{DOMAIN}>", "Call-ID: 1", f"CSeq: 1 {method}", *more,
    )  # fmt: skip
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def poured(edge: Edge, data: bytes, repeat: int = 1) -> bytes:
    """Write ``data`` over and over; return what comes back until the edge closes."""
    answer = b""
    with edge.stream() as stream, contextlib.suppress(ConnectionError):
        with contextlib.suppress(ConnectionError):
            for _ in range(repeat):
                stream.sendall(data)
        while piece := stream.recv(65_536):
            answer += piece
    return answer


@pytest.mark.parametrize(
    ("data", "repeat"),
    [
        pytest.param(bytes(range(256)) * 8 + b"\r\n\r\n", 1, id="garbage"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 1, id="HTTP"),
        pytest.param(bytes.fromhex("16030100c8010000c40303") + bytes(190), 1, id="TLS ClientHello"),
        pytest.param(b"MSRP a1 SEND\r\nTo-Path: msrp://a/1;tcp\r\n\r\n-------a1$\r\n\r\n", 1, id="MSRP"),
        pytest.param(head("OPTIONS", "X: " + "x" * 65_536, "Content-Length: 0"), 1, id="head of 64 KiB"),
        pytest.param(head("OPTIONS", *["X: 1"] * 10_000, "Content-Length: 0"), 1, id="10000 headers"),
        pytest.param(head("MESSAGE", "Content-Length: 99999999999"), 1, id="huge Content-Length"),
        pytest.param(head("MESSAGE", "Content-Length: 1000000") + b"x" * 65_536, 100, id="huge body"),
        pytest.param(head("MESSAGE", "Content-Length: -5"), 1, id="negative Content-Length"),
        pytest.param(b"x" * 65_536, 100, id="6 MiB without a line end"),
        pytest.param(head("OPTIONS"), 1, id="no Content-Length"),
    ],
)
def test_what_is_not_sip_is_closed_and_disturbs_nobody(edge: Edge, data: bytes, repeat: int) -> None:
    with good_conversation(edge):
        answer = poured(edge, data, repeat)
    assert answer.count(b"SIP/2.0 4") <= 1
    assert b"SIP/2.0 500" not in answer


def test_one_byte_a_time_is_given_up_when_the_head_takes_too_long(edge: Edge) -> None:
    with good_conversation(edge), edge.stream() as stream:
        stream.settimeout(0.2)
        closed = False
        for byte in head("OPTIONS", "Content-Length: 0"):
            with contextlib.suppress(ConnectionError):
                stream.send(bytes([byte]))
            try:
                closed = not stream.recv(1)
            except TimeoutError:
                continue
            except ConnectionError:
                closed = True
            if closed:
                break
        assert closed


def register(number: int, user: str = "x", *more: str) -> bytes:
    """A REGISTER over UDP, another one for each number."""
    text = head("REGISTER", "Content-Length: 0", *more, user=user).decode()
    text = text.replace("SIP/2.0/TCP", "SIP/2.0/UDP").replace("z9hG4bK1", f"z9hG4bK{number};rport")
    return text.replace("Call-ID: 1", f"Call-ID: storm-{number}").encode()


FLOODS: dict[str, Callable[[int], bytes]] = {
    "garbage": lambda number: bytes([number % 256]) * 500,
    "half a request": lambda number: register(number)[:100],
    "STUN": lambda number: bytes.fromhex("000100002112a442") + number.to_bytes(12, "big"),
    "REGISTERs without credentials": register,
    "users that are guessed": lambda number: register(number, f"user{number}"),
    "INVITEs without ACK": lambda number: register(number).replace(b"REGISTER", b"INVITE"),
    "responses nobody waits for": lambda number: b"SIP/2.0 200 OK\r\n" + register(number).partition(b"\r\n")[2],
    "a datagram of 60 KiB": lambda number: register(number) + b"x" * 60_000,
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_of_datagrams_disturbs_nobody_and_leaves_nothing(edge: Edge, name: str) -> None:
    before = edge.node.memory()
    with good_conversation(edge), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attacker:
        attacker.bind((ATTACKER, 0))
        for number in range(ROUNDS):
            attacker.sendto(FLOODS[name](number), edge.address)
    assert edge.node.memory() - before < LARGEST_GROWTH
    assert not json.loads(edge.node.command("bans", "list", "--json").stdout)


def test_who_guesses_passwords_is_banned_until_an_operator_lets_him_in(edge: Edge) -> None:
    host = "127.0.0.67"
    with good_conversation(edge):
        with edge.phone("mallory", host=host, password="guess") as guesser:
            assert _guess(guesser) <= 20
        with pytest.raises((EOFError, ConnectionError)), edge.phone("mallory", kind="tcp", host=host) as late:
            late.register()
        (ban,) = json.loads(edge.node.command("bans", "list", "--json").stdout)
        assert (ban["address"], ban["reason"]) == (host, "too many wrong passwords")
        assert json.loads(edge.node.command("mi", "pike_list").stdout) == {"IPs": [{"IP": host}]}
        assert edge.node.command("bans", "remove", host).returncode == 0
        assert "not banned" in edge.node.command("bans", "remove", host).stderr
        wait_until(lambda: _lets_in(edge, host), seconds=PATIENCE, what="the address is let in again")


def _guess(guesser: Phone) -> int:
    """Register until nothing comes back; returns how often that was refused."""
    guesser.socket.settimeout(0.5)
    for number in range(100):
        try:
            assert guesser.register().status == 401
        except TimeoutError:
            return number
    return 100


def _lets_in(edge: Edge, host: str) -> bool:
    with edge.phone("mallory", host=host) as phone:
        phone.socket.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            return phone.register().status == 200
    return False


def test_a_drain_answers_what_is_under_way_closes_connections_and_serves_datagrams(edge: Edge) -> None:
    with edge.phone("alice") as alice, edge.phone("bob", kind="tcp") as bob:
        assert alice.register().status == bob.register().status == 200
        drained = json.loads(edge.node.command("drain", "--grace", "5", "--json").stdout)
        assert drained["drain"]["state"] == "drained"
        with pytest.raises((EOFError, ConnectionError)):
            bob.message("alice", "too late")
        assert alice.register().status == 200
        with pytest.raises(ConnectionError):
            edge.stream()
        edge.node.command("drain", "--cancel")
    with good_conversation(edge):
        pass
