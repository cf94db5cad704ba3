"""Bodies of MESSAGEs that devices have compressed."""

import gzip
import zlib
from typing import Any

import pytest

from tests.support.gateway_content import notification
from tests.support.gateway_world import ALICE, BOB, GatewayWorld
from tests.unit.gateway.flows.test_notifications import accepted, imdn
from wigwag.database.ledger import State
from wigwag.gateway.flows.decoding import decoded
from wigwag.gateway.kinds import RefusedError


async def writes(world: GatewayWorld, body: bytes, coding: str, content_type: str = "text/plain") -> str:
    headers: Any = {"Content-Encoding": coding}
    message_id = await world.writes(body, content_type=content_type, **headers)
    await world.run()
    await world.opens(world.last_call)
    await world.run()
    return message_id


@pytest.mark.parametrize(("coding", "body"), [("deflate", zlib.compress(b"hello")), ("GZIP", gzip.compress(b"hello"))])
async def test_a_compressed_body_is_said_uncompressed(world: GatewayWorld, coding: str, body: bytes) -> None:
    await writes(world, body, coding)
    assert await world.handed(world.last_call) == ["hello"]


@pytest.mark.parametrize(
    ("coding", "body", "status"),
    [
        ("br", b"hello", 415),
        ("deflate, gzip", gzip.compress(zlib.compress(b"hello")), 415),
        ("deflate", b"hello", 400),
        ("deflate", zlib.compress(bytes(100_000)), 413),
    ],
)
async def test_what_can_not_be_uncompressed_fails(world: GatewayWorld, coding: str, body: bytes, status: int) -> None:
    row = await world.row(await writes(world, body, coding))
    assert (row.state, row.status) == (State.FAILED, status)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("message/imdn+xml", notification()), ("message/cpim", imdn())],
)
async def test_a_compressed_notification_says_what_became_of_its_message(
    world: GatewayWorld, content_type: str, body: bytes
) -> None:
    session = await accepted(world)
    headers: Any = {"Content-Encoding": "deflate"}
    await world.writes(zlib.compress(body), sender=ALICE, recipient=BOB, content_type=content_type, **headers)
    await world.run()
    assert [told[:2] for told in world.agents.settled] == [("u1", State.DELIVERED)]
    assert body.decode() in (await world.handed(session))[0]


def test_a_body_is_uncompressed_to_its_limit_and_no_further() -> None:
    assert decoded(zlib.compress(b"x" * 10), 10) == b"x" * 10
    for body, status in (
        (zlib.compress(b"x" * 11), 413),
        (zlib.compress(b"x")[:-1], 400),
        (zlib.compress(b"x") + b"y", 400),
        (b"", 400),
        (zlib.compress(bytes(50_000_000)), 413),
    ):
        with pytest.raises(RefusedError) as refused:
            decoded(body, 10)
        assert refused.value.status == status
