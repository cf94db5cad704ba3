"""Two engines without sockets between them but a stream that is cut anywhere."""

import io

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.msrp import ALICE, BOB, Endpoint, exchange
from wigwag.protocols.msrp import (
    ConnectionLimits,
    DataReceived,
    DeliverySucceeded,
    FailureReport,
    MessageAccepted,
    MessageCompleted,
    MessageReceived,
    ReassemblyLimits,
)

SIZES = st.sampled_from([0, 1, 16, 2047, 2048, 2049, 5000, 20_000])
MESSAGES = st.tuples(SIZES, st.booleans(), st.booleans(), st.sampled_from(FailureReport))


@settings(max_examples=40)
@given(
    sizes=st.lists(MESSAGES, min_size=1, max_size=5),
    segments=st.permutations([1, 40, 700, 5000]),
    writes=st.permutations([1, 3000, 9000]),
    largest_whole=st.sampled_from([0, 3000, 100_000]),
)
def test_every_message_arrives_whole_and_is_confirmed_however_the_stream_is_cut(
    sizes: list[tuple[int, bool, bool, FailureReport]], segments: list[int], writes: list[int], largest_whole: int
) -> None:
    alice = Endpoint(ALICE, (BOB,), passive=False)
    bob = Endpoint(limits=ConnectionLimits(reassembly=ReassemblyLimits(largest_whole=largest_whole)))
    sent = {}
    for number, (size, from_source, success_report, failure_report) in enumerate(sizes):
        body = bytes((number + index) % 256 for index in range(size))
        message_id = alice.connection.send_message(
            alice.session,
            "application/octet-stream",
            io.BytesIO(body) if from_source else body,
            success_report=success_report,
            failure_report=failure_report,
        )
        sent[message_id] = (body, success_report, failure_report)
    there, back, step = b"", b"", 0
    while True:
        there += alice.write(writes[step % len(writes)])
        back += bob.write(writes[step % len(writes)])
        if not there and not back:
            break
        cut = segments[step % len(segments)]
        if there:
            bob.receive(there[:cut])
        if back:
            alice.receive(back[:cut])
        there, back, step = there[cut:], back[cut:], step + 1
    alice.wait(0)
    assert received_by(bob) == {message_id: body for message_id, (body, _, _) in sent.items()}
    succeeded = {event.message_id for event in alice.events if isinstance(event, DeliverySucceeded)}
    assert succeeded == {message_id for message_id, (_, success_report, _) in sent.items() if success_report}
    accepted = {event.message_id for event in alice.events if isinstance(event, MessageAccepted)}
    assert accepted == {message_id for message_id, (_, _, wanted) in sent.items() if wanted is FailureReport.YES}


def received_by(endpoint: Endpoint) -> dict[str, bytes]:
    """Return the bodies of all messages received, whole or in pieces."""
    pieces: dict[str, bytearray] = {}
    complete = {}
    for event in endpoint.events:
        match event:
            case MessageReceived(message_id=message_id, body=body):
                complete[message_id] = body
            case DataReceived(message_id=message_id, offset=offset, data=data):
                pieces.setdefault(message_id, bytearray())[offset : offset + len(data)] = data
            case MessageCompleted(message_id=message_id, total=total):
                complete[message_id] = bytes(pieces.get(message_id, b""))[:total]
    return complete


def test_both_sides_send_at_once_and_nothing_is_lost() -> None:
    alice, bob = Endpoint(ALICE, (BOB,), passive=False), Endpoint()
    exchange(alice, bob)
    for endpoint in (alice, bob):
        for size in (10, 100_000, 10):
            endpoint.connection.send_message(endpoint.session, "text/plain", b"x" * size, success_report=True)
    exchange(alice, bob, max_bytes=3000)
    for endpoint in (alice, bob):
        assert [len(body) for body in endpoint.bodies()] == [10, 10, 100_000]
        assert len([event for event in endpoint.events if isinstance(event, DeliverySucceeded)]) == 3
