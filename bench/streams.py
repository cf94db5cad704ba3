"""Batched streams between two processes: items a second and CPU per item, one item or up to 64 per frame.

``make bench-streams``. Nothing here is a peer's figure: it shows what batching is for.
"""

import argparse
import asyncio
import multiprocessing
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
import grpc.aio
import msgspec

from wigwag.runtime.rpc import BatchedStream, BatchLimits, open_channel

METHOD = "/wigwag.bench.Items/Exchange"
ITEM_BYTES = 300
PACES = {1: 5_000, 64: 200_000}
"""Items per frame, and about how many a second that makes."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


async def exchange(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[int]:
    """Acknowledge each frame."""
    async for first, items in requests:
        yield first + len(items) - 1


async def _serve(ready: Any) -> None:
    server = grpc.aio.server()
    handler = grpc.stream_stream_rpc_method_handler(exchange, _decode, _encode)
    _, service, method = METHOD.split("/")
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {method: handler})])
    ready.send(server.add_insecure_port("127.0.0.1:0"))
    await server.start()
    await server.wait_for_termination()


def serve(ready: Any) -> None:
    """Be the peer, in a process of its own."""
    asyncio.run(_serve(ready))


def _frame(first: int, items: Sequence[bytes]) -> tuple[int, list[bytes]]:
    return first, list(items)


async def one_round(target: str, batch: int, items: int) -> tuple[float, float]:
    """Return items a second, and microseconds of the sender's CPU per item."""
    async with open_channel(target) as channel:
        stream = BatchedStream[bytes](
            channel.stream_stream(METHOD, _encode, _decode),
            frame=_frame,
            acknowledged=int,
            size=len,
            limits=BatchLimits(batch_items=batch),
        )
        async with stream:
            item, number = b"x" * ITEM_BYTES, await stream.send(b"")
            await stream.acknowledged(number)
            began, cpu = time.perf_counter(), time.process_time()
            for _ in range(items):
                number = await stream.send(item)
            await stream.acknowledged(number)
            seconds, busy = time.perf_counter() - began, time.process_time() - cpu
    return items / seconds, busy / items * 1e6


async def _rounds(target: str, rounds: int, seconds: float) -> dict[int, list[tuple[float, float]]]:
    found: dict[int, list[tuple[float, float]]] = {batch: [] for batch in PACES}
    for _ in range(rounds):
        for batch, results in found.items():
            results.append(await one_round(target, batch, int(PACES[batch] * seconds)))
    return found


def main() -> None:
    """Run the rounds, alternating, and print medians and spread."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1.0, help="about how long a round takes")
    arguments = parser.parse_args()
    multiprocessing.set_start_method("spawn")
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=serve, args=(sender,), daemon=True)
    process.start()
    target = f"127.0.0.1:{receiver.recv()}"
    found = asyncio.run(_rounds(target, arguments.rounds, arguments.seconds))
    process.terminate()
    for batch, results in found.items():
        rates, costs = zip(*results, strict=True)
        print(
            f"up to {batch} items of {ITEM_BYTES} octets per frame: {statistics.median(rates):,.0f} items/s "
            f"({min(rates):,.0f} - {max(rates):,.0f}), {statistics.median(costs):.1f} us of the sender's CPU per item"
        )


if __name__ == "__main__":
    main()
