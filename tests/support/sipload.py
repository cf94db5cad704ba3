"""The SIP load generator, run for a moment on a small proxy."""

import asyncio

from bench.generator import SIPLOAD, Report, build, run
from tests.support.peers import require_peer
from tests.support.small_proxy import SmallProxy, serving_tcp, serving_udp


def require_generator() -> None:
    """Build it, or skip the test when that is impossible here."""
    require_peer("gcc")
    require_peer("make")
    build(SIPLOAD)


async def load(proxy: SmallProxy, *options: str, tcp: bool = False, piece: int = 65536) -> Report:
    """Run it; what the proxy sends over TCP arrives in pieces of at most so many octets."""
    serving = serving_tcp(proxy, piece) if tcp else serving_udp(proxy)
    async with serving as port:
        arguments = ["--port", str(port), "--duration", "0.2", "--warm-up", "0", "--drain", "3", *options]
        return await asyncio.to_thread(run, [*arguments, *(["--tcp"] if tcp else [])], SIPLOAD)
