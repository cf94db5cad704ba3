"""The running relay has no file descriptor left: accepting rests, who is connected goes on."""

import asyncio
from pathlib import Path

from tests.support.live_relay import Clients, relay_settings
from tests.support.node import relay_node
from tests.support.waiting import until

DESCRIPTORS = 64
PATIENCE = 20.0


async def test_accepting_rests_without_descriptors_and_recovers(tmp_path: Path) -> None:
    with relay_node(tmp_path, relay_settings(), descriptors=DESCRIPTORS) as node:
        async with Clients(node) as clients:
            alice, bob = await clients.join("alice"), await clients.join("bob")
            crowd = [await clients.connect() for _ in range(DESCRIPTORS)]
            await until(lambda: "accepting rests" in node.log.read_text(), PATIENCE)
            for number in range(20):
                message, status = await alice.send(alice.path_to(bob), b"%d" % number)
                assert status == 200
                assert (await bob.message(message)).body == b"%d" % number
            await asyncio.gather(*(one.close() for one in crowd))
            carol = await clients.join("carol")
            message, _ = await carol.send(carol.path_to(alice), b"there is room again")
            assert (await alice.message(message)).body == b"there is room again"
            assert node.process.poll() is None
        assert "Traceback" not in node.log.read_text()
