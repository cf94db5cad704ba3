"""msrp-java, an endpoint of others, talks with an application without a relay; its signalling is SIPp's.

Maven Central does not have it: who has its classes and slf4j-api puts them into ``.peers/msrp-java``.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.peers import PEERS, require_peer
from tests.support.sipp import run_sipp
from tests.support.sipp_scripts import acknowledge, expect, invited, pause, request, sdp, write
from tests.support.ua_node import HOST, application, user_agent_node
from wigwag.api.ua.v1 import message_pb2

SOURCE = Path(__file__).parents[1] / "support" / "java" / "MsrpEndpoint.java"
CLASSES = PEERS / "msrp-java"


class JavaEndpoint:
    """The endpoint's process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    def do(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())

    async def told(self, begin: str) -> str:
        """Wait for a line with that beginning; returns the rest."""
        assert self._process.stdout is not None
        async with asyncio.timeout(20):
            while line := (await self._process.stdout.readline()).decode().rstrip():
                if line.startswith(begin):
                    return line.removeprefix(begin).strip()
        raise AssertionError(f"msrp-java ended before it told {begin!r}")


@asynccontextmanager
async def java_endpoint() -> AsyncIterator[JavaEndpoint]:
    java = require_peer("java")
    if not (CLASSES / "classes").is_dir():
        pytest.skip("msrp-java is not in .peers/msrp-java")
    path = os.pathsep.join(map(str, (CLASSES / "classes", *CLASSES.glob("*.jar"))))
    process = await asyncio.create_subprocess_exec(
        str(java), "-cp", path, str(SOURCE),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield JavaEndpoint(process)
    finally:
        process.kill()
        await process.communicate()


@pytest.mark.peer("sipp")
@pytest.mark.peer("msrp-java")
async def test_messages_of_any_size_pass_both_ways_and_are_reported(tmp_path: Path) -> None:
    applications = [application("near", way="direct")]
    async with java_endpoint() as java, user_agent_node(tmp_path, applications, direct={"host": HOST}) as node:
        own = await java.told("uri ")
        bye = [pause(8000), request("BYE", 9), expect("200")]
        script = write(tmp_path, "call", invited(sdp()), expect("200", routes=True), acknowledge(2), bye)
        call = asyncio.create_task(
            asyncio.to_thread(
                run_sipp, script, node.edge, "alice", peer="near", transport="tcp", path=own, setup="active"
            )
        )
        session = await node.last_session("near")
        await node.until_state("near", session.session_id, "open")
        java.do("connect " + " ".join(node.module._endpoint.sessions[session.session_id].line.path))
        for text in ("hello", "x" * 300_000):
            message_id = await node.send("near", session.session_id, text)
            assert (await java.told("received ")).split()[0] == str(len(text))
            delivered = await node.outcome("near", message_id)
            assert delivered.state == message_pb2.DELIVERY_STATE_DELIVERED
        java.do("say hello yourself")
        assert await java.told("report ") == "200"
        java.do("large 300000")
        assert await java.told("report ") == "200"
        received = await node.received("near", session.session_id, 2)
        assert received[0].body == b"hello yourself"
        (await call).expect_success()
