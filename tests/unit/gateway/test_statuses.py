"""What the statuses of one side mean to the other."""

import pytest

from wigwag.api.ua.v1.session_pb2 import EndCause
from wigwag.database.ledger import State
from wigwag.database.ledger.states import FINAL
from wigwag.gateway.statuses import (
    ENDS,
    MSRP,
    SIP,
    STATES,
    SipAnswer,
    answer_of,
    answer_of_end,
    imdn_status,
    report_of,
    setup_of,
    sip_meaning,
)
from wigwag.protocols.imdn import STATUSES, NotificationType, Status

RFC_4975 = {200, 400, 403, 408, 413, 415, 423, 481, 501, 506}
"""Section 10."""


@pytest.mark.parametrize(
    ("sip", "msrp"),
    [
        *((404, 403), (480, 403), (486, 403), (600, 403), (603, 403), (403, 403), (503, 403), (410, 403), (604, 403)),
        *((400, 400), (405, 501), (501, 501), (415, 415), (488, 415), (606, 415), (413, 413), (513, 413)),
        *((408, 408), (504, 408), (499, 403), (500, 403), (302, 403), (699, 403), (0, 403)),
    ],
)
def test_a_refused_message_becomes_a_failure_report(sip: int, msrp: int) -> None:
    report = report_of(State.FAILED, sip, "Reason Phrase")
    assert (report.state, report.status) == (State.FAILED, msrp)
    assert report.comment == (f"{sip} Reason Phrase" if sip else "Reason Phrase")


def test_a_report_says_only_what_rfc_4975_knows_and_never_that_the_session_is_gone() -> None:
    statuses = {report_of(state, sip).status for state in FINAL for sip in range(700)}
    assert statuses <= RFC_4975 - {481, 506}


def test_only_what_was_delivered_is_reported_as_success() -> None:
    for state in FINAL:
        good = state in (State.DELIVERED, State.DISPLAYED)
        assert (report_of(state, 200, "OK").status == 200) == good


def test_what_may_have_arrived_is_reported_as_a_timeout() -> None:
    assert report_of(State.UNCONFIRMED, 202, "Accepted").status == 408
    assert report_of(State.EXPIRED).status == 408
    assert report_of(State.EXPIRED).comment == "Its time ran out"


def test_a_comment_is_one_line_that_is_not_too_long() -> None:
    assert report_of(State.FAILED, 404, "Not\r\nFound\x00\udcff").comment == "404 Not Found"
    assert len(report_of(State.FAILED, 404, "x" * 5_000).comment) == 128


@pytest.mark.parametrize(
    ("msrp", "sip"),
    [
        (400, 400),
        (403, 403),
        (408, 408),
        (413, 413),
        (415, 415),
        (423, 400),
        (481, 480),
        (501, 501),
        (506, 480),
        (599, 500),
    ],
)
def test_a_refused_send_becomes_a_sip_status(msrp: int, sip: int) -> None:
    assert answer_of(State.FAILED, msrp).status == sip
    assert answer_of(State.FAILED, msrp, "no\nway").reason == "no way"


def test_a_sip_status_is_one_of_a_final_response() -> None:
    for state in FINAL:
        for msrp in (0, *MSRP, 999):
            answer = answer_of(state, msrp)
            assert 200 <= answer.status < 700
            assert answer.reason
            assert (answer.status == 200) == (state in (State.DELIVERED, State.DISPLAYED))


def test_of_what_was_never_sent_the_sender_learns_that_nobody_was_there() -> None:
    assert answer_of(State.FAILED) == SipAnswer(480, "Temporarily Unavailable")
    assert answer_of(State.EXPIRED).status == 480
    assert answer_of(State.UNCONFIRMED).status == 202


def test_every_end_of_a_session_has_a_meaning() -> None:
    causes = [meaning.cause for meaning in ENDS]
    assert sorted(causes) == sorted(set(EndCause.values()) - {EndCause.END_CAUSE_UNSPECIFIED})


@pytest.mark.parametrize(
    ("cause", "sip_status", "status", "setup"),
    [
        (EndCause.END_CAUSE_BUSY, 486, 486, "busy"),
        (EndCause.END_CAUSE_BUSY, 600, 600, "busy"),
        (EndCause.END_CAUSE_DECLINED, 0, 603, "declined"),
        (EndCause.END_CAUSE_DECLINED, 403, 403, "declined"),
        (EndCause.END_CAUSE_NOT_FOUND, 404, 404, "absent"),
        (EndCause.END_CAUSE_NOT_FOUND, 480, 480, "absent"),
        (EndCause.END_CAUSE_NO_COMMON_TYPE, 0, 488, "declined"),
        (EndCause.END_CAUSE_TIMEOUT, 487, 480, "absent"),
        (EndCause.END_CAUSE_TIMEOUT, 408, 408, "absent"),
        (EndCause.END_CAUSE_POD_LOST, 0, 480, "absent"),
        (EndCause.END_CAUSE_PEER_LOST, 0, 480, "absent"),
        (EndCause.END_CAUSE_MEDIA_FAILED, 0, 480, "absent"),
        (EndCause.END_CAUSE_REFUSED, 503, 503, "busy"),
        (EndCause.END_CAUSE_REFUSED, 500, 500, "declined"),
        (EndCause.END_CAUSE_REFUSED, 407, 403, "declined"),
        (EndCause.END_CAUSE_REFUSED, 302, 500, "declined"),
        (EndCause.END_CAUSE_ENDED_BY_PEER, 0, 480, "absent"),
    ],
)
def test_a_session_that_was_not_set_up_becomes_a_sip_status_and_a_policy(
    cause: EndCause, sip_status: int, status: int, setup: str
) -> None:
    assert answer_of_end(cause, sip_status, "As\nsaid").status == status
    assert setup_of(cause, sip_status) == setup


def test_a_status_stands_in_one_row_of_the_table() -> None:
    statuses = [status for meaning in SIP for status in meaning.statuses]
    assert len(statuses) == len(set(statuses))
    assert all(400 <= status < 700 and sip_meaning(status).words for status in statuses)


def test_every_final_state_has_a_notification_that_there_is() -> None:
    assert {meaning.state for meaning in STATES} == FINAL
    assert all(imdn_status(state) in STATUSES[NotificationType.DELIVERY] for state in FINAL)
    assert imdn_status(State.UNCONFIRMED) is Status.ERROR
