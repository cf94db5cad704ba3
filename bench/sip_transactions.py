"""``python -m bench.sip_transactions``: what one relayed MESSAGE costs the SIP transaction layer, by itself.

Each message is a server transaction and a client transaction, over a wire that drops everything; their timers are set,
looked at every hundred messages, and run out. Messages are parsed and written before the clock starts, but for the two
that the layer itself writes.
"""

import argparse
import gc
import time
import tracemalloc
from dataclasses import dataclass
from typing import Final

from wigwag.protocols.sip import Request, Response, parse_datagram
from wigwag.protocols.sip.transactions import NOBODY, Transactions

RATE: Final = 10_000.0
"""Messages per second of the virtual clock."""


class Nowhere:
    """A wire that drops everything."""

    def __init__(self, *, reliable: bool) -> None:
        self.reliable = reliable

    def send(self, data: bytes) -> None:
        pass


@dataclass
class Relayed:
    """A message as it comes, as it goes on, and its response on both sides."""

    incoming: Request
    onward: Request
    response: Response
    backward: Response


def message(number: int) -> Relayed:
    """Return a MESSAGE as a phone sends it and as its proxy passes it on."""
    fields = [
        ("Via", f"SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-524287-1---{number:016x};rport=5060;received=192.0.2.10"),
        ("Max-Forwards", "70"),
        ("From", '"Alice Liddell" <sip:alice@example.com>;tag=1928301774'),
        ("To", "<sip:bob@example.com>"),
        ("Call-ID", f"{number:032x}@192.0.2.10"),
        ("CSeq", "1 MESSAGE"),
        ("Content-Type", "text/plain"),
    ]
    incoming = parse_datagram(bytes(Request.create("MESSAGE", "sip:bob@example.com", fields, b"hello")))
    assert isinstance(incoming, Request)
    onward = incoming.copy()
    onward.insert("Via", f"SIP/2.0/UDP proxy.example.com:5060;branch=z9hG4bKp{number:032x}")
    answer = Response.to_request(onward, 200, "OK", to_tag="8321234356", fields=[("Server", "phone 1.0")])
    response = parse_datagram(bytes(answer))
    assert isinstance(response, Response)
    backward = response.copy()
    backward.pop_item("via")
    for one in (incoming, onward, response):
        _ = one.via, one.cseq
    return Relayed(incoming, onward, response, backward)


def relay(layer: Transactions, wire: Nowhere, relayed: Relayed, now: float) -> None:
    """Do what a stateful proxy asks of the layer."""
    server = layer.receive_request(relayed.incoming, wire, now)
    layer.send_request(relayed.onward, wire, NOBODY, now)
    layer.receive_response(relayed.response, now)
    assert server is not None
    server.respond(relayed.backward, now)


def cpu_per_message(count: int, *, reliable: bool) -> tuple[float, float]:
    """Return microseconds of the layer per message, and those of writing the two messages that are part of them."""
    messages = [message(number) for number in range(count)]
    layer, wire, now = Transactions(), Nowhere(reliable=reliable), 0.0
    gc.collect()
    gc.disable()
    begun = time.process_time()
    for number, relayed in enumerate(messages):
        now = number / RATE
        relay(layer, wire, relayed, now)
        if number % 100 == 0:
            layer.next_timeout()
            layer.handle_timeout(now)
    while (due := layer.next_timeout()) is not None:
        layer.handle_timeout(due + 0.01)
    spent = time.process_time() - begun
    begun = time.process_time()
    for relayed in messages:
        bytes(relayed.onward)
        bytes(relayed.backward)
    writing = time.process_time() - begun
    gc.enable()
    return spent / count * 1e6, writing / count * 1e6


def memory_per_message(count: int) -> tuple[float, float, int]:
    """Return octets that a relayed message leaves at once and after Timer K, and those of its response alone."""
    layer, wire = Transactions(), Nowhere(reliable=False)
    size = len(bytes(message(0).backward))
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(count):
            relay(layer, wire, message(number), number / RATE)
        gc.collect()
        at_once = tracemalloc.get_traced_memory()[0] - before
        layer.handle_timeout(count / RATE + 6.0)
        gc.collect()
        later = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    return at_once / count, later / count, size


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    count = parser.parse_args().messages
    for name, reliable in (("UDP", False), ("TCP", True)):
        best = min(cpu_per_message(count, reliable=reliable) for _ in range(3))
        print(f"{name}: {best[0]:.1f} us a message, {best[1]:.1f} of them to write two messages")
    at_once, later, size = memory_per_message(count)
    print(f"memory: {at_once:.0f} octets a message, {later:.0f} after Timer K, {size} of them the response")


if __name__ == "__main__":
    main()
