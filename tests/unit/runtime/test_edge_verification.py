"""The verifier of the SIP edge judges histories of two devices."""

import random
from pathlib import Path

import msgspec
import pytest

from tests.support.edge_histories import EdgeHistory, Transport, renumbered
from wigwag.runtime.edge_recording import EdgeRecord, EdgeRecording, FlowLost, read_edge_recording
from wigwag.runtime.edge_verification import verify_edge
from wigwag.runtime.evidence import Kind
from wigwag.runtime.recording import RecordingError


def kinds(recordings: list[EdgeRecording]) -> list[Kind]:
    return [violation.kind for violation in verify_edge(recordings).violations]


def test_what_arrived_and_was_answered_is_right() -> None:
    history = EdgeHistory()
    history.deliver()
    verdict = verify_edge(history.finish())
    assert verdict.kept
    assert verdict.counts["MESSAGE answered 200"] == 1


def test_answered_200_and_gone_is_lost_and_the_evidence_names_the_records() -> None:
    history = EdgeHistory()
    history.end(history.send())
    (violation,) = verify_edge(history.finish()).violations
    assert violation.kind is Kind.LOST
    assert [line.partition(" ")[0] for line in violation.evidence] == ["alice:3", "alice:4"]


def test_202_promises_no_delivery_yet() -> None:
    history = EdgeHistory()
    history.end(history.send(), 202)
    assert verify_edge(history.finish()).kept


@pytest.mark.parametrize(("cause", "found"), [("flow lost", []), ("timeout", [Kind.UNANSWERED])])
def test_only_a_lost_flow_excuses_that_there_is_no_answer(cause: str, found: list[Kind]) -> None:
    history = EdgeHistory()
    history.end(history.send(), 0, cause)
    assert kinds(history.finish()) == found


def test_a_request_has_one_outcome() -> None:
    history = EdgeHistory()
    history.send()
    assert kinds(history.finish()) == [Kind.UNANSWERED]
    history = EdgeHistory()
    history.end(history.deliver(), 430)
    assert kinds(history.finish()) == [Kind.UNASKED]


def test_no_device_shows_a_message_twice_but_two_devices_of_a_user_may_each() -> None:
    history = EdgeHistory()
    identity = history.deliver()
    history.receive(identity)
    assert kinds(history.finish()) == [Kind.DOUBLED]
    history = EdgeHistory()
    history.write("bob", type(history.records["bob"][1]), device="phone", aor="sip:bob@example.com", flow="phone/1",
                  transport="TCP")  # fmt: skip
    identity = history.deliver()
    history.receive(identity, device="phone", flow="phone/1")
    assert verify_edge(history.finish()).kept


def test_a_retransmission_may_come_at_any_time_and_another_branch_only_after_a_disturbance() -> None:
    history = EdgeHistory()
    history.repeat(history.deliver())
    assert verify_edge(history.finish()).kept
    for disturbed in (False, True):
        history = EdgeHistory()
        identity = history.send()
        history.receive(identity)
        if disturbed:
            history.disturb()
        history.repeat(identity, "z9hG4bK2")
        history.end(identity)
        verdict = verify_edge(history.finish())
        assert verdict.kept is disturbed
        assert verdict.counts["came again with another branch"] == 1


def test_a_disturbance_excuses_only_what_was_in_flight_then() -> None:
    history = EdgeHistory()
    identity = history.deliver()
    history.disturb()
    history.repeat(identity, "z9hG4bK2")
    assert kinds(history.finish()) == [Kind.DOUBLED]


@pytest.mark.parametrize(("alice", "bob", "kept"), [("UDP", "UDP", False), ("UDP", "TLS", True), ("TCP", "UDP", True)])
def test_nothing_is_refused_between_devices_on_udp(alice: Transport, bob: Transport, kept: bool) -> None:
    history = EdgeHistory(alice, bob)
    history.end(history.send(), 480)
    assert verify_edge(history.finish()).kept is kept


@pytest.mark.parametrize("change", [{"digest": "other"}, {"sequence": 7}, {"method": "INFO"}])
def test_what_arrives_changed_is_damaged(change: dict[str, object]) -> None:
    history = EdgeHistory()
    identity = history.send()
    history.receive(identity, **change)
    history.end(identity)
    assert kinds(history.finish()) == [Kind.DAMAGED]


def test_what_nobody_sent_is_invented() -> None:
    history = EdgeHistory()
    history.receive("alice-1")
    assert kinds(history.finish()) == [Kind.INVENTED]


def test_nothing_is_sent_before_the_outcome_of_what_went_before() -> None:
    history = EdgeHistory()
    first, second = history.send(), history.send()
    for identity in (first, second):
        history.receive(identity)
        history.end(identity)
    assert kinds(history.finish()) == [Kind.RECORDING]


def test_what_was_delivered_is_in_order_and_what_was_in_doubt_may_come_late() -> None:
    for status, found in ((200, [Kind.REORDERED]), (430, [])):
        history = EdgeHistory()
        first = history.send()
        history.end(first, status)
        history.deliver()
        history.receive(first)
        assert kinds(history.finish()) == found


def test_flows_are_used_only_while_they_stand() -> None:
    history = EdgeHistory()
    history.lose()
    history.deliver()
    assert kinds(history.finish()) == [Kind.RECORDING]


def mutants(recording: EdgeRecording) -> list[list[EdgeRecord]]:
    """Return the records with each one dropped, doubled, or exchanged with the next.

    An outcome may be known before the flow is lost or after it.
    """
    records = list(recording.records)
    found = []
    for index in range(len(records)):
        found.append(records[:index] + records[index + 1 :])
        found.append(records[: index + 1] + records[index:])
        if index + 1 < len(records) and not isinstance(records[index + 1], FlowLost):
            found.append([*records[:index], records[index + 1], records[index], *records[index + 2 :]])
    return found


def test_each_record_that_is_dropped_doubled_or_exchanged_is_found_out() -> None:
    history = EdgeHistory()
    for _ in range(3):
        history.deliver()
    history.lose()
    history.open("alice", "alice/2", "TCP")
    identity = history.send(flow="alice/2")
    history.receive(identity)
    history.end(identity)
    recordings = history.finish()
    assert verify_edge(recordings).kept
    for index, recording in enumerate(recordings):
        for number, mutant in enumerate(mutants(recording)):
            changed = list(recordings)
            changed[index] = renumbered(recording, mutant)
            assert not verify_edge(changed).kept, f"{recording.name}, mutant {number}"
            changed[index] = EdgeRecording(recording.name, tuple(mutant))
            assert not verify_edge(changed).kept, f"{recording.name}, mutant {number} with its numbers"


def test_a_recording_is_read_as_it_was_written_and_a_torn_line_is_left_out(tmp_path: Path) -> None:
    history = EdgeHistory()
    history.deliver()
    file = tmp_path / "alice"
    lines = b"".join(msgspec.json.encode(record) + b"\n" for record in history.records["alice"])
    file.write_bytes(lines + lines[: random.Random(1).randrange(1, 40)])
    assert read_edge_recording(file).records == tuple(history.records["alice"])
    file.write_bytes(b'{"event":"invented"}\n')
    with pytest.raises(RecordingError, match="line 1"):
        read_edge_recording(file)
