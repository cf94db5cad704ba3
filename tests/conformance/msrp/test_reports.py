"""Rows M53 to M67: responses, REPORTs and timers (RFC 4975 sections 7.1.1 to 7.1.4, 7.2, 7.3)."""

import pytest

from tests.support.msrp import (
    ALICE,
    BOB,
    CAROL,
    RELAY,
    Endpoint,
    exchange,
    report_frame,
    response_frame,
    send_frame,
    sender,
)
from wigwag.errors import ConflictError
from wigwag.protocols.msrp import (
    ConnectionGivenUp,
    ConnectionLimits,
    DeliveryFailed,
    DeliverySucceeded,
    DeliveryUnconfirmed,
    FailureReport,
    MessageAccepted,
    MessageReceived,
    MessageSent,
    ReassemblyLimits,
    ReportReceived,
    SessionFailed,
    SessionState,
    Status,
    TransactionTimedOut,
)

CHOICES = ["absent", "yes", "partial", "no"]


def wanting(failure_report: str, success_report: str = "absent") -> list[str]:
    """Return the headers that ask for these reports."""
    headers = {"Failure-Report": failure_report, "Success-Report": success_report}
    return [f"{name}: {value}" for name, value in headers.items() if value != "absent"]


def each_choice(answers: list[list[str]]) -> pytest.MarkDecorator:
    """Run a test once for each value of Failure-Report, with the answers that it gets."""
    return pytest.mark.parametrize(("failure_report", "answers"), list(zip(CHOICES, answers, strict=True)))


@each_choice([["200"], ["200"], [], []])
def test_m53_a_good_message_is_answered_unless_failure_report_is_partial_or_no(
    failure_report: str, answers: list[str]
) -> None:
    endpoint = Endpoint()
    endpoint.receive(send_frame(b"hello", headers=wanting(failure_report)))
    assert endpoint.kinds() == answers
    assert endpoint.bodies() == [b"hello"]


@pytest.mark.parametrize(
    ("failure_report", "answers"), list(zip(CHOICES, [["415"], ["415"], ["415"], []], strict=True))
)
def test_m54_an_unsupported_type_is_answered_415_unless_failure_report_is_no(
    failure_report: str, answers: list[str]
) -> None:
    endpoint = Endpoint(accept_types=("message/cpim", "image/*"))
    endpoint.receive(send_frame(b"hello", headers=wanting(failure_report)))
    assert endpoint.kinds() == answers
    assert endpoint.bodies() == []


@pytest.mark.parametrize(
    ("failure_report", "answers"), list(zip(CHOICES, [["481"], ["481"], ["481"], []], strict=True))
)
def test_m55_an_unknown_session_is_answered_481_unless_failure_report_is_no(
    failure_report: str, answers: list[str]
) -> None:
    endpoint = Endpoint()
    endpoint.receive(send_frame(b"hello", to_path=str(CAROL), headers=wanting(failure_report)))
    assert endpoint.kinds() == answers
    assert endpoint.bodies() == []


@pytest.mark.parametrize("failure_report", CHOICES)
def test_m56_a_success_report_goes_the_whole_way_back_and_covers_what_arrived(failure_report: str) -> None:
    endpoint = Endpoint(remote_path=(RELAY, ALICE))
    endpoint.receive(send_frame(b"hello", from_path=f"{RELAY} {ALICE}", headers=wanting(failure_report, "yes")))
    reported, *answers = endpoint.written()
    assert [frame.kind for frame in answers] == (["200"] if failure_report in ("absent", "yes") else [])
    report = reported.request
    assert report.method == "REPORT"
    assert report.to_path == (RELAY, ALICE)
    assert report.from_path == (BOB,)
    assert report.message_id == "12339sdqwer"
    assert str(report.byte_range) == "1-5/5"
    assert report.status == Status(200, "OK", 0)
    assert (report.get("Success-Report"), report.get("Failure-Report"), report.has_body) == (None, None, False)
    for frame in answers:
        assert frame.head.to_path == (RELAY,)


def test_without_a_relay_the_answer_comes_before_the_report() -> None:
    endpoint = Endpoint()
    endpoint.receive(send_frame(b"hello", headers=wanting("absent", "yes")))
    assert endpoint.kinds() == ["200", "REPORT"]


@pytest.mark.parametrize("success_report", ["absent", "no"])
def test_m57_no_success_report_is_sent_unasked(success_report: str) -> None:
    endpoint = Endpoint()
    endpoint.receive(send_frame(b"hello", headers=wanting("absent", success_report)))
    assert endpoint.kinds() == ["200"]


@pytest.mark.parametrize(
    "report",
    [
        report_frame("12339sdqwer", to_path=str(BOB), from_path=str(ALICE)),
        report_frame("12339sdqwer", to_path=str(CAROL), from_path=str(ALICE)),
        report_frame("12339sdqwer", status="bad", to_path=str(BOB), from_path=str(ALICE)),
        report_frame("12339sdqwer", byte_range="0-0/0", to_path=str(BOB), from_path=str(ALICE)),
        report_frame("12339sdqwer", to_path=str(BOB), from_path=str(ALICE)).replace(b"Status: 000 200 OK\r\n", b""),
        report_frame("12339sdqwer", to_path=str(BOB), from_path=str(ALICE)).replace(b"Message-ID", b"Massage-ID"),
        report_frame("12339sdqwer", to_path=str(BOB), from_path="nonsense"),
    ],
)
def test_m58_a_report_is_never_answered(report: bytes) -> None:
    endpoint = Endpoint()
    endpoint.receive(send_frame(b"hello"))
    endpoint.written()
    endpoint.receive(report)
    assert endpoint.kinds() == []


def test_m59_a_report_on_an_unknown_message_or_in_an_ended_session_is_ignored() -> None:
    alice = sender()
    message_id = alice.connection.send_message(alice.session, "text/plain", b"hi", success_report=True)
    alice.written()
    alice.wait(0)
    assert alice.receive(report_frame("unknown1")) == []
    assert alice.receive(report_frame(message_id, to_path=str(CAROL))) == []
    alice.connection.end_session(alice.session)
    assert alice.receive(report_frame(message_id)) == []


def test_m60_a_status_of_another_namespace_is_no_msrp_status() -> None:
    alice = sender()
    message_id = alice.connection.send_message(alice.session, "text/plain", b"hi", success_report=True)
    alice.written()
    alice.wait(0)
    for status in ("001 200 OK", "001 481 Other"):
        (event,) = alice.receive(report_frame(message_id, status, "1-2/2"))
        assert isinstance(event, ReportReceived)
        assert event.status.namespace == 1
    events = alice.receive(report_frame(message_id, "000 200", "1-2/2"))
    assert isinstance(events[-1], DeliverySucceeded)


def test_m62_a_failure_report_aborts_the_message_in_transit_and_fails_the_session() -> None:
    alice = sender()
    message_id = alice.connection.send_message(alice.session, "text/plain", b"x" * 300_000)
    alice.connection.send_message(alice.session, "text/plain", b"next", message_id="next-one")
    alice.write(10_000)
    events = alice.receive(report_frame(message_id, "000 408 Lost", "1-2048/300000"))
    assert [type(event) for event in events] == [ReportReceived, DeliveryFailed, SessionFailed, DeliveryFailed]
    (last,) = alice.written()
    assert (last.flag, last.body, last.request.message_id) == ("#", b"", message_id)
    assert alice.session.state is SessionState.FAILED
    with pytest.raises(ConflictError):
        alice.connection.send_message(alice.session, "text/plain", b"more")


def test_m62_a_refusal_of_one_message_leaves_the_session_usable() -> None:
    alice = sender()
    message_id = alice.connection.send_message(alice.session, "text/html", b"x" * 300_000)
    alice.write(10_000)
    (_, failed) = alice.receive(report_frame(message_id, "000 415 No", "1-10/300000"))
    assert isinstance(failed, DeliveryFailed)
    assert (failed.status, failed.comment) == (415, "No")
    alice.connection.send_message(alice.session, "text/plain", b"more")
    assert [frame.flag for frame in alice.written()] == ["#", "$"]


def test_m63_silence_for_30_seconds_after_the_last_octet_means_probably_failed() -> None:
    alice = sender()
    alice.connection.send_message(alice.session, "text/plain", b"hi")
    alice.wait(100)
    (frame,) = alice.written()
    assert [type(event) for event in alice.wait(29.9)] == [MessageSent]
    events = alice.wait(0.2)
    assert [type(event) for event in events] == [TransactionTimedOut, DeliveryFailed, SessionFailed]
    assert alice.receive(response_frame(frame.head.transaction_id)) == []


def test_m63_a_408_report_is_treated_like_silence() -> None:
    alice = sender()
    message_id = alice.connection.send_message(alice.session, "text/plain", b"hi")
    (frame,) = alice.written()
    alice.receive(response_frame(frame.head.transaction_id))
    (_, failed, session_failed) = alice.receive(report_frame(message_id, "000 408 Timeout", "1-2/2"))
    assert isinstance(failed, DeliveryFailed)
    assert failed.status == 408
    assert isinstance(session_failed, SessionFailed)


def test_m63_a_session_that_a_relay_may_resume_outlives_a_408_report() -> None:
    alice = sender()
    alice.session.resumable = True
    message_id = alice.connection.send_message(alice.session, "text/plain", b"hi")
    (frame,) = alice.written()
    alice.receive(response_frame(frame.head.transaction_id))
    (_, failed) = alice.receive(report_frame(message_id, "000 408 Gone", "1-2/2"))
    assert isinstance(failed, DeliveryFailed)
    again = alice.connection.send_message(alice.session, "text/plain", b"still there?")
    alice.written()
    assert isinstance(alice.receive(report_frame(again, "000 481 Gone", "1-12/12"))[-1], SessionFailed)


@pytest.mark.parametrize("failure_report", [FailureReport.PARTIAL, FailureReport.NO])
def test_m63_no_timer_runs_when_only_errors_or_nothing_would_be_answered(failure_report: FailureReport) -> None:
    alice = sender()
    alice.connection.send_message(alice.session, "text/plain", b"hi", failure_report=failure_report)
    alice.written()
    assert [type(event) for event in alice.wait(1000)] == [MessageSent]


def test_m63_an_error_to_a_message_that_wants_partial_reports_is_told() -> None:
    alice = sender()
    alice.connection.send_message(alice.session, "text/plain", b"hi", failure_report=FailureReport.PARTIAL)
    (frame,) = alice.written()
    assert frame.request.failure_report is FailureReport.PARTIAL
    alice.wait(0)
    (failed,) = alice.receive(response_frame(frame.head.transaction_id, "413 No"))
    assert isinstance(failed, DeliveryFailed)


def test_m64_a_head_that_drips_is_cut_off_by_its_deadline() -> None:
    endpoint = Endpoint()
    endpoint.receive(send_frame(b"hello"))
    for octet in send_frame(b"again")[:3]:
        assert endpoint.wait(10) == []
        endpoint.receive(bytes([octet]))
    assert [type(event) for event in endpoint.wait(10.1)] == [ConnectionGivenUp]


def test_m64_a_body_that_drips_is_cut_off_and_one_that_flows_is_not() -> None:
    for octets, given_up in ((1, True), (300, False)):
        endpoint = Endpoint()
        endpoint.receive(send_frame(b"?", byte_range="1-*/*").split(b"?")[0])
        events = []
        for _ in range(30):
            if not endpoint.connection.next_timeout():
                break
            events += endpoint.wait(5)
            if not any(isinstance(event, ConnectionGivenUp) for event in events):
                endpoint.receive(b"x" * octets)
        assert any(isinstance(event, ConnectionGivenUp) for event in events) is given_up


def test_m65_a_response_on_another_connection_is_ignored() -> None:
    alice, other = sender(), sender()
    alice.connection.send_message(alice.session, "text/plain", b"hi")
    (frame,) = alice.written()
    assert other.receive(response_frame(frame.head.transaction_id)) == []
    assert any(isinstance(event, MessageAccepted) for event in alice.receive(response_frame(frame.head.transaction_id)))


@pytest.mark.parametrize("content_type", ["multipart/mixed;boundary=x", "Multipart/Alternative; boundary=y"])
def test_m67_multipart_is_accepted_by_any_endpoint(content_type: str) -> None:
    endpoint = Endpoint(accept_types=("text/plain",))
    endpoint.receive(send_frame(b"--x--", content_type=content_type))
    assert endpoint.bodies() == [b"--x--"]


@pytest.mark.parametrize("content_type", ["text", "/", "text/", ";charset=utf-8", "text/plainer"])
def test_other_types_are_not(content_type: str) -> None:
    endpoint = Endpoint(accept_types=("text/plain",))
    endpoint.receive(send_frame(b"hello", content_type=content_type))
    assert endpoint.kinds() == ["415"]


def test_success_reports_in_any_pieces_and_order_add_up_to_one_delivery() -> None:
    alice = sender()
    message_id = alice.connection.send_message(alice.session, "text/plain", b"x" * 10_000, success_report=True)
    alice.receive(b"".join(response_frame(frame.head.transaction_id) for frame in alice.written()))
    ranges = ["5001-10000/10000", "1-2048/10000", "2000-4000/10000", "1-2048/10000", "4001-5000/*"]
    for byte_range in ranges[:-1]:
        (event,) = alice.receive(report_frame(message_id, "000 200 OK", byte_range))
        assert isinstance(event, ReportReceived)
    (_, succeeded) = alice.receive(report_frame(message_id, "000 200 OK", ranges[-1]))
    assert isinstance(succeeded, DeliverySucceeded)
    assert succeeded.total == 10_000
    assert alice.receive(report_frame(message_id, "000 200 OK", "1-10000/10000")) == []


def test_a_report_of_more_than_was_sent_confirms_no_more_than_was_sent() -> None:
    alice = sender()
    message_id = alice.connection.send_message(alice.session, "text/plain", b"x" * 100_000, success_report=True)
    alice.write(3000)
    for byte_range in (None, "1-100000/100000"):
        (event,) = alice.receive(report_frame(message_id, "000 200 OK", byte_range))
        assert isinstance(event, ReportReceived)
    alice.written()
    (sent,) = alice.wait(0)
    assert isinstance(sent, MessageSent)


def test_the_ranges_that_reports_confirm_are_bounded() -> None:
    alice = sender()
    message_id = alice.connection.send_message(alice.session, "text/plain", b"x" * 10_000, success_report=True)
    alice.written()
    alice.wait(0)
    for octet in range(1, 4001, 2):
        alice.receive(report_frame(message_id, "000 200 OK", f"{octet}-{octet}/10000"))
    message = alice.connection._deliveries.find(alice.session, message_id)
    assert message is not None
    assert len(message.confirmed) == 1024


def test_the_application_may_report_itself() -> None:
    alice, bob = sender(), Endpoint()
    bob.session.automatic_reports = False
    message_id = alice.connection.send_message(alice.session, "text/plain", b"hi", success_report=True)
    exchange(alice, bob)
    assert not any(isinstance(event, DeliverySucceeded) for event in alice.events)
    (received,) = [event for event in bob.events if isinstance(event, MessageReceived)]
    bob.connection.send_report(bob.session, message_id, received.from_path, None, Status(403, "Not here"))
    exchange(alice, bob)
    (failed,) = [event for event in alice.events if isinstance(event, DeliveryFailed)]
    assert (failed.status, failed.comment) == (403, "Not here")


def test_what_is_unconfirmed_when_the_session_ends_is_told() -> None:
    alice = sender()
    alice.connection.send_message(alice.session, "text/plain", b"one", success_report=True, message_id="answered")
    alice.receive(b"".join(response_frame(frame.head.transaction_id) for frame in alice.written()))
    alice.connection.send_message(alice.session, "text/plain", b"two", message_id="unanswered")
    alice.written()
    alice.connection.send_message(alice.session, "text/plain", b"three", message_id="unsent01")
    alice.wait(0)
    events = {getattr(event, "message_id", None): type(event) for event in alice.connection.end_session(alice.session)}
    assert events == {"answered": DeliveryUnconfirmed, "unanswered": DeliveryFailed, "unsent01": DeliveryFailed}
    assert alice.written() == []


def test_the_number_of_messages_followed_is_bounded() -> None:
    alice = sender(limits=ConnectionLimits(most_deliveries=3))
    for _ in range(4):
        alice.connection.send_message(alice.session, "text/plain", b"x", success_report=True)
        alice.receive(b"".join(response_frame(frame.head.transaction_id) for frame in alice.written()))
    alice.wait(0)
    assert [type(event) for event in alice.events].count(DeliveryUnconfirmed) == 1


def test_the_number_of_open_transactions_is_bounded_and_responses_go_out_all_the_same() -> None:
    alice = sender(limits=ConnectionLimits(most_transactions=2, reassembly=ReassemblyLimits()))
    for _ in range(3):
        alice.connection.send_message(alice.session, "text/plain", b"x")
    first, _ = alice.written()
    assert not alice.connection.has_data_to_send
    alice.receive(send_frame(b"hi", to_path=str(ALICE), from_path=str(BOB)))
    assert alice.kinds() == ["200"]
    alice.receive(response_frame(first.head.transaction_id))
    assert alice.kinds() == ["SEND"]
