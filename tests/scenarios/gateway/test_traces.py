"""One trace shows a message from the edge through the gateway to the session's REPORT, another one the way back."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.edge_under_test import DOMAIN
from tests.support.gateway_node import gateway_node, next_message, page_user, writes
from tests.support.otlp_receiver import OtlpReceiver, otlp_receiver, plain
from tests.support.sip_client import LiveSipClient
from tests.support.ua_node import PATIENCE
from tests.support.ua_node_users import NodeUser, node_user
from tests.support.waiting import until
from wigwag.ua.endpoint.model import Received, Settled

ALICE, BOB = f"sip:alice@{DOMAIN}", f"sip:bob@{DOMAIN}"
FORGED = f"00-{'a' * 32}-{'b' * 16}-01"


@asynccontextmanager
async def talking(
    directory: Path, receiver: OtlpReceiver, ratio: float
) -> AsyncIterator[tuple[LiveSipClient, NodeUser, "Counter[tuple[str, str]]"]]:
    """Yield a page-mode user, a session-mode user and the gateway's count of messages; all is exported."""
    telemetry = {"otlp_endpoint": receiver.endpoint, "sample_ratio": ratio}
    async with (
        gateway_node(directory, telemetry=telemetry) as node,
        node_user("bob", node, directory) as bob,
        page_user(node, "alice") as alice,
    ):
        gateway: Any = node.node.modules["gateway"]
        yield alice, bob, gateway._counters.messages


def way(spans: Sequence[Span], known: str, *names: str) -> list[Span]:
    """Return the spans with these names of the trace in which a span is, each the parent of the next."""
    (one,) = [span for span in spans if span.name == known]
    found = {span.name: span for span in spans if span.trace_id == one.trace_id}
    chain = [found[f"wigwag.{name}"] for name in names]
    for above, below in pairwise(chain):
        assert below.parent_span_id == above.span_id, f"{below.name} is not below {above.name}"
    assert not chain[0].parent_span_id
    return chain


async def test_one_trace_from_a_message_to_the_report_of_the_session(tmp_path: Path) -> None:
    async with otlp_receiver() as receiver:
        async with talking(tmp_path, receiver, 1.0) as (alice, bob, messages):
            assert await writes(alice, BOB, Traceparent=FORGED) == 202
            received = await bob.hears(Received)
            await until(lambda: messages["page", "delivered"], PATIENCE)
        names = ("relay.sip.keep", "gateway.forward", "ua.accept", "ua.deliver", "ua.send", "relay.send")
        chain = way(receiver.spans(), "wigwag.relay.sip.keep", *names)
    assert plain(chain[-2].attributes)["msrp.status"] == 200
    assert received.traceparent == ""
    assert not [name for name, _ in received.fields if name.lower() == "traceparent"]


async def test_one_trace_from_what_is_said_in_a_session_to_the_answer_of_the_device(tmp_path: Path) -> None:
    async with otlp_receiver() as receiver:
        async with talking(tmp_path, receiver, 1.0) as (alice, bob, _):
            bob.say(await bob.opens(ALICE), b"hi")
            message = await next_message(alice)
            await bob.hears(Settled)
        names = ("relay.send", "ua.receive", "gateway.forward", "relay.sip.send")
        way(receiver.spans(), "wigwag.relay.sip.send", *names)
    assert "traceparent" not in message


async def test_nothing_is_traced_where_no_trace_begins(tmp_path: Path) -> None:
    async with otlp_receiver() as receiver:
        async with talking(tmp_path, receiver, 0.0) as (alice, bob, _):
            assert await writes(alice, BOB, Traceparent=FORGED) == 202
            bob.say((await bob.hears(Received)).session, b"hi")
            await next_message(alice)
            await bob.hears(Settled)
        assert receiver.spans() == []
