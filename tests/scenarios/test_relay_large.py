"""Large messages stream through the running relay: its memory stays, other sessions of the same hop go on."""

import asyncio
import hashlib

import pytest

from tests.support.live_client import LiveClient
from tests.support.live_relay import Clients
from tests.support.msrp import send_frame
from tests.support.waiting import until

SIZE = 256 * 2**20
PIECE = bytes(range(256)) * 1024
LARGEST_GROWTH = 8 * 2**20
MINUTE = 60.0


async def send_large(sender: LiveClient, to_path: str, message_id: str) -> str:
    """Send one message of ``SIZE`` octets in one chunk whose length is not told; returns its hash."""
    frame = send_frame(
        b"", tid="large1x", message_id=message_id, byte_range="1-*/*", to_path=to_path, from_path=sender.uri
    )
    end = frame.rindex(b"\r\n-------")
    digest = hashlib.sha256()
    await sender.write(frame[:end])
    for _ in range(SIZE // len(PIECE)):
        digest.update(PIECE)
        await sender.write(PIECE)
    await sender.write(frame[end:])
    return digest.hexdigest()


async def second_session(receiver: LiveClient, clients: Clients, kind: str) -> str:
    """AUTH once more on the receiver's connection; returns the path of the new session."""
    first, use_path = receiver.uri, receiver.use_path
    receiver.uri = f"{first.rpartition('/')[0]}/second;tcp"
    await receiver.authenticate(clients.uri(kind), "carol", "carol-secret")
    path = receiver.path
    receiver.uri, receiver.use_path = first, use_path
    return path


@pytest.mark.parametrize("kind", ["tcp", "tls"])
async def test_256_mib_pass_in_less_than_8_mib_while_another_session_gets_its_messages(
    clients: Clients, kind: str
) -> None:
    receiver, sender, other = [await clients.join(user, kind) for user in ("bob", "alice", "carol")]
    path = f"{other.use_path} {await second_session(receiver, clients, kind)}"
    # What every connection has touched once is not growth: buffers of TLS, pools.
    await other.send(path, b"first")
    before = clients.node.memory()
    clients.node.forget_peak()
    sending = asyncio.ensure_future(send_large(sender, sender.path_to(receiver), "large"))
    small: list[str] = []
    while not sending.done():
        message, status = await other.send(path, b"small")
        assert status == 200
        await receiver.message(message)
        small.append(message)
    digest = await sending
    await until(lambda: receiver.received["large"].flags.endswith("$"), MINUTE)
    assert receiver.received["large"].octets == SIZE
    assert receiver.received["large"].hash.hexdigest() == digest
    assert (await sender.answered("large1x")).status_code == 200
    assert sender.reports == other.reports == []
    assert len(small) > 10
    assert clients.node.memory("VmHWM") - before < LARGEST_GROWTH
