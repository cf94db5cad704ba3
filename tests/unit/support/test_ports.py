"""Ports that servers of tests get are theirs."""

import multiprocessing
import socket
from multiprocessing.connection import Connection

import pytest

from tests.support import ports
from tests.support.ports import PORTS, take_port

HOST = "127.0.0.1"


def test_no_port_is_given_twice() -> None:
    taken = [take_port(HOST) for _ in range(200)]
    assert len(set(taken)) == 200


def test_ports_are_none_that_the_kernel_gives() -> None:
    with socket.socket() as anybodys:
        anybodys.bind((HOST, 0))
        assert anybodys.getsockname()[1] not in PORTS
    assert take_port(HOST) in PORTS


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_port_that_is_used_is_passed_over(kind: socket.SocketKind, monkeypatch: pytest.MonkeyPatch) -> None:
    used, free = take_port(HOST), take_port(HOST)
    monkeypatch.setattr(ports, "_candidates", lambda: iter([used, free]))
    with socket.socket(type=kind) as server:
        server.bind((HOST, used))
        assert take_port(HOST) == free


def test_port_of_another_process_is_passed_over_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_take_one, args=(theirs,))
    process.start()
    try:
        assert ours.poll(60)
        used, free = ours.recv(), take_port(HOST)
        monkeypatch.setattr(ports, "_candidates", lambda: iter([used, free]))
        assert take_port(HOST) == free
    finally:
        ours.send("that is all")
        process.join(60)
    monkeypatch.setattr(ports, "_candidates", lambda: iter([used]))
    assert take_port(HOST) == used


def _take_one(pipe: Connection) -> None:
    pipe.send(take_port(HOST))
    pipe.recv()
