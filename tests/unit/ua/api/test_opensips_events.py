from typing import Any

import pytest

from wigwag.api.ua.v1 import event_pb2, message_pb2, session_pb2, ua_pb2
from wigwag.ua.api.opensips_events import OpensipsFormat

OPENED = 1_700_000_000


def told(*events: event_pb2.Event) -> list[tuple[str, dict[str, Any]]]:
    frames = OpensipsFormat().frames(ua_pb2.WatchResponse(events=events, resume_token="t"))
    assert all(frame["jsonrpc"] == "2.0" and frame.keys() == {"jsonrpc", "method", "params"} for frame in frames)
    return [(frame["method"], frame["params"]) for frame in frames]


def changed(state: str, *, at: float = OPENED, opened: bool = True, **fields: Any) -> event_pb2.Event:
    session = session_pb2.Session(
        session_id="s1",
        direction=session_pb2.SESSION_DIRECTION_INBOUND,
        local_uri="sip:oss@opensips.org",
        remote_uri="sip:alice@opensips.org",
        accept_types=["text/plain", "message/cpim"],
        state=f"SESSION_STATE_{state}",
        **fields,
    )
    if opened:
        session.opened_at.FromSeconds(OPENED)
    event = event_pb2.Event(event_id="e", session_id="s1", session_changed=session)
    event.occurred_at.FromMilliseconds(round(at * 1_000))
    return event


def message_changed(state: str, **fields: Any) -> event_pb2.Event:
    message = message_pb2.Message(
        message_id="m1",
        session_id="s1",
        direction=message_pb2.MESSAGE_DIRECTION_OUTBOUND,
        size=5,
        state=f"DELIVERY_STATE_{state}",
        **fields,
    )
    return event_pb2.Event(event_id="e", session_id="s1", message_changed=message)


def report(status: int, reason: str = "OK", *, first: int = 1, last: int = 5, total: int = 5) -> event_pb2.Event:
    found = event_pb2.Report(
        message_id="m1", status=status, reason=reason, first_octet=first, last_octet=last, total=total
    )
    return event_pb2.Event(event_id="e", session_id="s1", report=found)


def test_a_session_is_new_when_it_opens_and_not_when_it_changes_later() -> None:
    assert told(
        changed("OFFERED", opened=False), changed("OPEN"), changed("OPEN"), changed("OPEN", at=OPENED + 60)
    ) == [
        (
            "E_MSRP_SESSION_NEW",
            {
                "from_uri": "sip:alice@opensips.org",
                "to_uri": "sip:oss@opensips.org",
                "ruri": "sip:oss@opensips.org",
                "session_id": "s1",
                "content_types": "text/plain message/cpim",
            },
        )
    ]


def test_the_end_is_told_of_what_was_open_unless_the_command_ended_it() -> None:
    ends = [
        changed("ENDED", end_cause=session_pb2.END_CAUSE_ENDED_BY_PEER),
        changed("ENDED", end_cause=session_pb2.END_CAUSE_ENDED_HERE),
        changed("ENDED", end_cause=session_pb2.END_CAUSE_BUSY, opened=False),
    ]
    assert told(*ends) == [("E_MSRP_SESSION_END", {"session_id": "s1"})]


def test_a_message_that_came_is_told_unless_it_is_empty() -> None:
    hello = message_pb2.Message(session_id="s1", content_type="text/plain", body=b"Hello\xff", size=6)
    empty = message_pb2.Message(session_id="s1", content_type="text/plain")
    large = message_pb2.Message(session_id="s1", content_type="image/png", blob_id="b1", size=100_000)
    found = told(*(event_pb2.Event(message_received=each) for each in (hello, empty, large)))
    assert found == [
        ("E_MSRP_MSG_RECEIVED", {"session_id": "s1", "content_type": "text/plain", "body": "Hello\ufffd"}),
        ("E_MSRP_MSG_RECEIVED", {"session_id": "s1", "content_type": "image/png", "body": "", "blob_id": "b1"}),
    ]


@pytest.mark.parametrize(
    ("event", "status", "byte_range"),
    [
        (report(200), "000 200 OK", "1-5/5"),
        (report(413, "too large", last=0, total=0), "000 413 too large", "1-*/*"),
        (message_changed("FAILED", status=415, reason="not accepted"), "415 not accepted", "1-5/5"),
        (message_changed("UNCONFIRMED"), "408", "1-5/5"),
    ],
)
def test_reports_refusals_and_timeouts_are_reports(event: event_pb2.Event, status: str, byte_range: str) -> None:
    params = {"session_id": "s1", "message_id": "m1", "status": status, "byte_range": byte_range}
    assert told(event) == [("E_MSRP_REPORT_RECEIVED", params)]


def test_a_failure_that_a_report_told_is_not_told_again() -> None:
    assert len(told(report(413), message_changed("FAILED", status=413))) == 1


@pytest.mark.parametrize(
    ("success", "failure", "states"),
    [
        (False, "YES", ["FAILED", "UNCONFIRMED"]),
        (True, "YES", ["DELIVERED", "FAILED", "UNCONFIRMED"]),
        (True, "NO", ["DELIVERED"]),
        (False, "NO", []),
        (False, "PARTIAL", ["FAILED"]),
    ],
)
def test_an_outcome_is_a_report_when_it_is_asked_for(success: bool, failure: Any, states: list[str]) -> None:
    reports = message_pb2.Reports(success=success, failure=f"FAILURE_REPORTS_{failure}")
    every = ("ACCEPTED", "DELIVERED", "FAILED", "UNCONFIRMED", "DISPLAYED", "EXPIRED")
    assert [state for state in every if told(message_changed(state, reports=reports))] == states


def test_a_success_that_a_report_told_is_not_told_again_but_parts_are_no_outcome() -> None:
    reports = message_pb2.Reports(success=True)
    delivered = message_changed("DELIVERED", reports=reports)
    assert len(told(report(200), delivered)) == 1
    statuses = [params["byte_range"] for _, params in told(report(200, last=3), delivered, delivered)]
    assert statuses == ["1-3/5", "1-5/5"]


def test_what_opensips_does_not_have_is_not_told() -> None:
    events = [message_changed("ACCEPTED"), message_changed("DELIVERED"), event_pb2.Event(event_id="e")]
    assert told(*events) == []
