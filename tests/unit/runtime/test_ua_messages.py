"""Messages of sessions as rows of the ledger, and what those rows say on the bus."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.ledger import new_message
from tests.unit.runtime.test_pager_events import RecordingBus, swept
from wigwag.api.ua.v1 import event_pb2, message_pb2
from wigwag.database.ledger import Change, Claim, State
from wigwag.runtime.events import PAGER_INBOUND, SESSIONS_EVENTS, SESSIONS_OUTBOUND
from wigwag.runtime.ua_messages import (
    INBOUND,
    OUTBOUND,
    SERVICE,
    MsrpReports,
    SessionFields,
    conversation_of,
    fields_of,
    headers_of,
    names_of,
    notifications_of,
    requested,
    same_headers,
)

FIELDS = SessionFields(
    session_id="s1",
    application="helpdesk",
    msrp_message_id="m1",
    imdn_message_id="i1",
    notifications=frozenset({"display", "positive-delivery"}),
    cpim=(("From", "Alice <sip:alice@example.com>"), ("Subject;lang=en", "a: b"), ("Subject", "gr\udcfcn")),
    size=70_000,
    reference="gw:4711/2",
    msrp_reports=MsrpReports(success=True, failure=False, octets=70_123),
)


def row(direction: str, fields: SessionFields, **values: Any) -> Any:
    """Return a new message of a session."""
    return new_message(
        "m-1",
        service=SERVICE,
        direction=direction,
        conversation=conversation_of(fields.session_id),
        headers=headers_of(fields),
        **values,
    )


def events(bus: RecordingBus) -> list[event_pb2.Event]:
    return [envelope.session_event.event for envelope in bus.of(SESSIONS_EVENTS.name)]


@pytest.mark.parametrize("fields", [FIELDS, SessionFields(session_id="s1", application="helpdesk")])
def test_fields_come_back_from_the_headers_they_were_made_to(fields: SessionFields) -> None:
    assert fields_of(headers_of(fields)) == fields


def test_a_message_under_another_reference_or_trace_is_the_same_and_under_other_wishes_is_not() -> None:
    headers = headers_of(FIELDS)
    for same in (
        replace(FIELDS, reference=""),
        replace(FIELDS, reference="other"),
        replace(FIELDS, traceparent="00-1"),
    ):
        assert same_headers(headers, headers_of(same))
    assert not same_headers(headers, headers_of(replace(FIELDS, notifications=frozenset())))


@pytest.mark.parametrize("value", ["", "yes", "yes no", "yes no many", "yes no -1", "yes no 1 2"])
def test_reports_of_another_version_are_none(value: str) -> None:
    assert MsrpReports.parse(value) is None


def test_headers_of_another_version_are_passed_over() -> None:
    assert fields_of((("size", "many"), ("future", "x"), ("cpim", "no colon"), ("notifications", "telepathy"))) == (
        SessionFields(session_id="", application="", cpim=(("no colon", ""),))
    )


def test_notifications_are_known_by_name_in_any_case_and_order() -> None:
    names = notifications_of(" Display,positive-delivery, nonsense,")
    assert names == {"display", "positive-delivery"}
    assert requested(names) == message_pb2.Notifications(display=True, positive_delivery=True)
    assert names_of(requested(names)) == names


async def test_message_that_came_is_told_once_with_all_of_it(tmp_path: Path) -> None:
    bus = await swept(tmp_path, row(INBOUND, FIELDS, body=None, blob="b1", content_type="image/png"))
    assert [(topic, key) for topic, key, _ in bus.records] == [(SESSIONS_EVENTS.name, "s1")]
    (event,) = events(bus)
    message = event.message_received
    assert (event.event_id, event.application, event.session_id) == ("m-1:1", "helpdesk", "s1")
    assert (message.blob_id, message.size, message.body, message.content_type) == ("b1", 70_000, b"", "image/png")
    assert (message.direction, message.state) == (
        message_pb2.MESSAGE_DIRECTION_INBOUND,
        message_pb2.DELIVERY_STATE_ACCEPTED,
    )
    assert (message.imdn_message_id, message.requested.display, message.requested.processing) == ("i1", True, False)
    assert [(header.name, header.value) for header in message.cpim_headers][1:] == [
        ("Subject;lang=en", "a: b"),
        ("Subject", "gr\ufffdn"),
    ]
    assert event.occurred_at == message.accepted_at
    assert not message.HasField("settled_at")


async def test_body_of_a_message_that_came_is_told_and_that_of_one_that_changed_is_not(tmp_path: Path) -> None:
    fields = SessionFields(session_id="s1", application="helpdesk")
    bus = await swept(
        tmp_path, row(INBOUND, fields, body=b"\x00hi"), Change(id="m-1", version=1, state=State.DISPLAYED)
    )
    came, shown = events(bus)
    assert (came.message_received.body, came.message_received.size) == (b"\x00hi", 3)
    assert shown.WhichOneof("what") == "message_changed"
    assert (shown.message_changed.body, shown.message_changed.size) == (b"", 3)
    assert shown.message_changed.state == message_pb2.DELIVERY_STATE_DISPLAYED


async def test_message_of_an_application_is_put_out_and_each_state_told(tmp_path: Path) -> None:
    fields = SessionFields(session_id="s1", application="helpdesk")
    bus = await swept(tmp_path, row(OUTBOUND, fields, body=b"hi"))
    assert [topic for topic, _, _ in bus.records] == [SESSIONS_OUTBOUND.name, SESSIONS_EVENTS.name]
    (outbound,) = bus.of(SESSIONS_OUTBOUND.name)
    assert (outbound.event_id, outbound.type) == ("m-1", "wigwag.session.message_accepted")
    assert (outbound.session_outbound.session_id, outbound.session_outbound.ledger_id) == ("s1", "m-1")
    (event,) = events(bus)
    assert event.message_changed.state == message_pb2.DELIVERY_STATE_ACCEPTED
    assert bus.of(PAGER_INBOUND.name) == []


async def test_states_that_were_missed_are_told_as_they_were(tmp_path: Path) -> None:
    fields = SessionFields(session_id="s1", application="helpdesk")
    bus = await swept(
        tmp_path,
        row(OUTBOUND, fields, body=b"hi"),
        Change(id="m-1", version=1, state=State.DELIVERED, status=200, reason="OK"),
        Change(id="m-1", version=2, state=State.DISPLAYED),
    )
    assert bus.of(SESSIONS_OUTBOUND.name) == []  # it has its outcome: nobody is to send it
    accepted, delivered, displayed = (event.message_changed for event in events(bus))
    assert [message.version for message in (accepted, delivered, displayed)] == [1, 2, 3]
    assert (accepted.state, accepted.status, accepted.HasField("settled_at")) == (1, 0, False)
    assert (delivered.state, delivered.status, delivered.reason) == (2, 200, "OK")
    assert (displayed.state, displayed.status) == (3, 200)


async def test_message_that_its_owner_claimed_is_not_put_out(tmp_path: Path) -> None:
    fields = SessionFields(session_id="s1", application="helpdesk")
    claim = Claim(id="m-1", owner="ua-0", token=7)
    bus = await swept(tmp_path, row(OUTBOUND, fields, body=b"hi"), claim)
    assert bus.of(SESSIONS_OUTBOUND.name) == []
    assert len(events(bus)) == 1
