"""The running relay is operated, told to end, killed, and started again."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.support.live_client import LiveClient
from tests.support.live_relay import DOMAIN, Clients, relay_settings
from tests.support.msrp import send_frame
from tests.support.node import json_of, relay_node
from tests.support.waiting import until

PATIENCE = 20.0
SETTINGS = relay_settings()


async def half_a_message(sender: LiveClient, receiver: LiveClient) -> bytes:
    """Begin a small chunk; returns what is left to be written."""
    frame = send_frame(
        b"a small text that takes its time", tid="open1", message_id="open",
        to_path=sender.path_to(receiver), from_path=sender.uri,
    )  # fmt: skip
    await sender.write(frame[:-30])
    return frame[-30:]


async def told_to_end(clients: Clients) -> None:
    """Send SIGTERM and wait until the relay drains."""
    clients.node.process.send_signal(signal.SIGTERM)
    await until(lambda: any(line["event"] == "draining" for line in clients.node.log_lines()), PATIENCE)


async def exit_status(clients: Clients) -> int:
    await until(lambda: clients.node.process.poll() is not None, PATIENCE)
    return clients.node.process.wait()


async def test_an_ended_sessions_uri_answers_481(clients: Clients) -> None:
    # URIs of their own: a session that is resumed keeps its counters.
    alice = await clients.join("alice", "tls", uri="msrps://ended.invalid:2855/a;tcp")
    bob = await clients.join("bob", uri="msrp://ended.invalid:2855/b;tcp")
    assert (await bob.send(bob.path_to(alice), b"1234"))[1] == 200
    assert (await alice.send(alice.path_to(bob), b"123"))[1] == 200
    rows = json_of(clients.node.command("relay", "sessions", "list", "--user", f"alice@{DOMAIN}", "--json"))
    (row,) = [row for row in rows if row["client_uri"] == alice.uri]
    assert (row["listener"], row["state"]) == ("tls", "active")
    assert (row["messages_out"], row["bytes_out"], row["messages_in"], row["bytes_in"]) == (1, 4, 1, 3)
    assert row["id"] not in alice.use_path
    shown = json_of(clients.node.command("relay", "sessions", "show", row["id"], "--json"))
    assert shown | {"expires": row["expires"]} == row
    assert clients.node.command("relay", "sessions", "end", row["id"]).returncode == 0
    assert (await bob.send(bob.path_to(alice)))[1] == 481
    assert (await alice.send(alice.path_to(bob)))[1] == 481
    assert clients.node.command("relay", "sessions", "end", row["id"]).returncode == 1
    assert await alice.auth(clients.uri("tls"), "alice", "alice-secret") == 200
    assert (await bob.send(bob.path_to(alice)))[1] == 200


async def test_killed_and_started_again_it_knows_its_users_and_its_uris(tmp_path: Path) -> None:
    with relay_node(tmp_path, SETTINGS) as node:
        assert node.command("user", "add", f"dora@{DOMAIN}", text="opensesame\n").returncode == 0
        async with Clients(node) as clients:
            alice = await clients.join("alice")
            node.process.kill()
            await alice.until_closed()
            assert await exit_status(clients) == -signal.SIGKILL
    with relay_node(tmp_path, SETTINGS) as node:
        async with Clients(node) as clients:
            dora = await clients.connect()
            assert await dora.auth(clients.uri(), "dora", "opensesame") == 200
            # A URI of the keys that were lost would have the connection dropped (RFC 4976 section 6.2).
            assert (await dora.send(alice.path))[1] == 481
            await _ends_in_good_order(clients, dora)


async def _ends_in_good_order(clients: Clients, receiver: LiveClient) -> None:
    bob = await clients.join("bob")
    rest = await half_a_message(bob, receiver)
    await told_to_end(clients)
    assert clients.node.is_ready() is False
    with pytest.raises(OSError):
        await clients.connect()
    await bob.write(rest)
    assert (await receiver.message("open")).body == b"a small text that takes its time"
    assert (await bob.answered("open1")).status_code == 200
    assert await exit_status(clients) == 0
    await asyncio.gather(bob.until_closed(), receiver.until_closed())
    assert "Traceback" not in clients.node.log.read_text()


async def test_a_second_sigterm_ends_it_at_once(tmp_path: Path) -> None:
    with relay_node(tmp_path, {**SETTINGS, "node": {"shutdown_grace": 3600.0}}) as node:
        async with Clients(node) as clients:
            alice, bob = await clients.join("alice"), await clients.join("bob")
            await half_a_message(bob, alice)
            await told_to_end(clients)
            node.process.send_signal(signal.SIGTERM)
            assert await exit_status(clients) == 128 + signal.SIGTERM
