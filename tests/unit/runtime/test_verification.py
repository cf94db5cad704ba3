"""The verifier judges histories of two endpoints."""

import pytest

from tests.support.histories import BOB, History, digest_of
from wigwag.protocols.msrp import FailureReport
from wigwag.runtime.evidence import Kind
from wigwag.runtime.recording import Finished, Recording, Started
from wigwag.runtime.verification import Outcome, Verdict, verify


def kinds(verdict: Verdict) -> list[Kind]:
    return [violation.kind for violation in verdict.violations]


def outcomes(verdict: Verdict) -> dict[Outcome, int]:
    return {outcome: verdict.counts[outcome.value] for outcome in Outcome if verdict.counts[outcome.value]}


def test_a_message_that_arrived_is_delivered() -> None:
    history = History()
    history.deliver()
    verdict = verify(history.finish())
    assert verdict.kept
    assert outcomes(verdict) == {Outcome.DELIVERED: 1}


def test_answered_200_and_gone_is_lost_and_the_evidence_names_the_records() -> None:
    history = History()
    message_id = history.send()
    history.answer(message_id)
    verdict = verify(history.finish())
    assert kinds(verdict) == [Kind.LOST]
    (violation,) = verdict.violations
    assert [line.partition(" ")[0] for line in violation.evidence] == ["alice:3", "alice:4"]
    assert message_id in violation.text


@pytest.mark.parametrize(("start", "end", "kept"), [(1, 10, True), (1, None, True), (1, 9, False), (2, 10, False)])
def test_a_failure_report_has_to_cover_every_octet(start: int, end: int | None, kept: bool) -> None:
    history = History()
    message_id = history.send()
    history.answer(message_id)
    history.report(message_id, start=start, end=end)
    assert verify(history.finish()).kept is kept


def test_what_arrived_and_what_was_reported_may_add_up() -> None:
    history = History()
    message_id = history.send()
    history.answer(message_id)
    history.receive(message_id, end=4)
    history.report(message_id, start=5)
    verdict = verify(history.finish())
    assert outcomes(verdict) == {Outcome.REPORTED: 1}
    assert verdict.kept


def test_a_success_report_does_not_make_up_for_a_message() -> None:
    history = History()
    message_id = history.send()
    history.answer(message_id)
    history.report(message_id, 200)
    assert kinds(verify(history.finish())) == [Kind.LOST]


def test_delivered_and_reported_is_allowed() -> None:
    history = History()
    history.report(history.deliver())
    verdict = verify(history.finish())
    assert verdict.kept
    assert outcomes(verdict) == {Outcome.BOTH: 1}


def test_a_lost_connection_excuses_what_was_sent_over_it() -> None:
    history = History()
    answered, unanswered = history.send(), history.send()
    history.answer(answered)
    history.lose()
    history.open()
    verdict = verify(history.finish())
    assert verdict.kept
    assert outcomes(verdict) == {Outcome.CUT_OFF: 1, Outcome.UNKNOWN: 1}
    assert unanswered != answered


def test_a_connection_lost_before_excuses_nothing() -> None:
    history = History()
    history.lose()
    history.open()
    history.answer(history.send())
    assert kinds(verify(history.finish())) == [Kind.LOST]


def test_a_connection_that_the_sender_gave_up_excuses_nothing() -> None:
    history = History()
    history.answer(history.send())
    history.send()
    history.lose("gave up")
    history.open()
    assert kinds(verify(history.finish())) == [Kind.LOST, Kind.UNANSWERED]


def test_a_send_without_an_answer_on_a_living_connection_is_unanswered_even_if_it_arrived() -> None:
    history = History()
    history.receive(history.send())
    assert kinds(verify(history.finish())) == [Kind.UNANSWERED]


def test_a_refusal_is_an_outcome() -> None:
    history = History()
    history.answer(history.send(), 481)
    verdict = verify(history.finish())
    assert verdict.kept
    assert outcomes(verdict) == {Outcome.REFUSED: 1}


@pytest.mark.parametrize("failure_report", [FailureReport.PARTIAL, FailureReport.NO])
def test_less_is_promised_to_partial_and_no(failure_report: FailureReport) -> None:
    history = History()
    history.send(failure_report=failure_report)
    verdict = verify(history.finish())
    assert verdict.kept
    assert outcomes(verdict) == {Outcome.UNPROMISED: 1}


def test_received_twice_is_doubled() -> None:
    history = History()
    history.receive(history.deliver())
    assert kinds(verify(history.finish())) == [Kind.DOUBLED]


def test_what_the_sender_repeated_may_arrive_twice_and_late_but_not_three_times() -> None:
    history = History()
    message_id = history.send()
    history.lose()
    history.open()
    history.deliver()
    history.repeat(message_id)
    history.answer(message_id)
    history.receive(message_id)
    history.receive(message_id)
    assert verify(history.recordings(), allow_unfinished=True).kept
    history.receive(message_id)
    assert kinds(verify(history.finish())) == [Kind.DOUBLED]


def test_received_after_a_later_one_is_reordered() -> None:
    history = History()
    first, second = history.send(), history.send()
    for message_id in (first, second):
        history.answer(message_id)
    history.receive(second)
    history.receive(first)
    assert kinds(verify(history.finish())) == [Kind.REORDERED]


def test_the_rest_of_a_long_chunk_may_be_overtaken_but_not_its_beginning() -> None:
    history = History()
    long, short = history.send(end=100), history.send()
    history.answer(long, end=100)
    history.answer(short)
    history.receive(long, end=60)
    history.receive(short)
    history.receive(long, start=61, end=100)
    assert verify(history.finish()).kept


def test_two_chunks_of_a_message_are_two_sends() -> None:
    history = History()
    message_id = history.send(end=5)
    history.send_more(message_id, 6, 10)
    history.answer(message_id, end=5)
    history.answer(message_id, start=6)
    history.receive(message_id, end=5)
    verdict = verify(history.finish())
    assert kinds(verdict) == [Kind.LOST]
    assert outcomes(verdict) == {Outcome.DELIVERED: 1, Outcome.LOST: 1}


def test_a_message_without_octets_can_be_lost_too() -> None:
    history = History()
    history.answer(history.send(end=0), end=0)
    delivered = history.send(end=0)
    history.answer(delivered, end=0)
    history.receive(delivered, end=0)
    assert kinds(verify(history.finish())) == [Kind.LOST]


def test_received_by_another_or_with_octets_that_nobody_sent_is_invented() -> None:
    history = History()
    message_id = history.deliver()
    history.receive(message_id, start=11, end=20)
    history.receive("message7")
    history.receive(message_id, receiver="msrp://eve.invalid:2855/e;tcp")
    assert set(kinds(verify(history.finish()))) == {Kind.INVENTED, Kind.DOUBLED}


def test_other_octets_are_damage() -> None:
    history = History()
    message_id = history.send()
    history.answer(message_id)
    history.receive(message_id, digest=digest_of("another", 1, 10))
    assert kinds(verify(history.finish())) == [Kind.DAMAGED]


def test_answers_and_reports_that_nobody_asked_for_are_violations() -> None:
    history = History()
    history.answer(history.deliver())
    history.report("message9")
    assert kinds(verify(history.finish())) == [Kind.UNASKED, Kind.UNASKED]


def test_without_the_receivers_recording_nothing_is_proven() -> None:
    history = History()
    history.deliver()
    verdict = verify(history.finish()[:1])
    assert kinds(verdict) == [Kind.RECORDING, Kind.LOST]
    assert BOB in verdict.violations[0].text


def test_an_endpoint_may_be_killed_only_where_that_is_expected() -> None:
    history = History()
    history.answer(history.send())
    killed = history.recordings()
    assert kinds(verify(killed)) == [Kind.RECORDING, Kind.RECORDING]
    verdict = verify(killed, allow_unfinished=True)
    assert verdict.kept
    assert verdict.counts["connections cut with their endpoint"] == 2


def test_another_path_is_counted_as_a_set_up() -> None:
    history = History()
    for path in ("alice's path", "another path", "another path"):
        history.lose()
        history.open(path)
    assert verify(history.finish()).counts["clients set up again"] == 1


@pytest.mark.parametrize(
    "recording",
    [
        Recording("empty", ()),
        Recording("headless", (Finished(number=1, time=0),)),
        Recording("gap", (Started(number=1, time=0), Finished(number=3, time=0))),
        Recording("goes on", (Started(number=1, time=0), Finished(number=2, time=0), Finished(number=3, time=0))),
    ],
    ids=lambda recording: recording.name,
)
def test_a_recording_that_was_tampered_with_proves_nothing(recording: Recording) -> None:
    assert Kind.RECORDING in kinds(verify([recording]))


def test_one_client_has_one_connection_at_a_time() -> None:
    history = History()
    history.open()
    assert Kind.RECORDING in kinds(verify(history.finish()))
