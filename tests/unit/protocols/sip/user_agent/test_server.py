"""Requests that come are answered in the order of RFC 3261 section 8.2, and messages are shown once."""

import pytest

from tests.support.sip_agent import AgentRig
from wigwag.protocols.sip import Request, SipError, StreamFramer
from wigwag.protocols.sip.user_agent import AgentOptions, MessageReceived

_VIA = "SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bK"


def message(
    *fields: tuple[str, str],
    method: str = "MESSAGE",
    branch: str = "a",
    uri: str = "sip:alice@192.0.2.7:5099",
    to: str = "<sip:alice@example.com>",
    content_type: str = "text/plain",
    body: bytes = b"hello",
    cseq: int = 7,
) -> Request:
    head = [
        ("Via", _VIA + branch),
        ("Max-Forwards", "70"),
        ("From", '"Bob" <sip:bob@example.com>;tag=b'),
        ("To", to),
        ("Call-ID", "c"),
        ("CSeq", f"{cseq} {method}"),
        *fields,
    ]
    if content_type:
        head.append(("Content-Type", content_type))
    return Request.create(method, uri, head, body)


def answered(rig: AgentRig, request: Request) -> tuple[int, str | None]:
    """Return the status of the answer, and the field that goes with it."""
    rig.receive(request)
    response = rig.response()
    field = {405: "allow", 501: "allow", 415: "accept", 420: "unsupported"}.get(response.status, "to")
    return response.status, response.get(field)


def test_s01_message_is_answered_without_body_and_contact() -> None:
    rig = AgentRig()
    rig.receive(message())
    response = rig.response()
    assert (response.status, response.body) == (200, b"")
    assert "contact" not in response
    assert response.to.tag
    assert rig.events == [
        MessageReceived(
            from_uri="sip:bob@example.com",
            display_name="Bob",
            to_uri="sip:alice@example.com",
            content_type="text/plain",
            body=b"hello",
            call_id="c",
            expired=False,
        )
    ]


def test_s02_retransmission_is_answered_again_and_shown_once() -> None:
    rig = AgentRig("UDP")
    for _ in range(3):
        rig.receive(message())
    assert len(rig.wire.sent) == 3
    assert len(set(rig.wire.sent)) == 1
    assert len(rig.events) == 1


def test_message_sent_again_over_a_connection_is_shown_once() -> None:
    rig = AgentRig()
    for _ in range(2):
        rig.receive(message())
        assert rig.response().status == 200
    assert len(rig.events) == 1


def test_same_message_by_another_path_is_a_loop() -> None:
    rig = AgentRig("UDP")
    rig.receive(message(branch="a"))
    rig.wire.sent.clear()
    assert answered(rig, message(branch="b"))[0] == 482
    assert len(rig.events) == 1


def test_next_message_of_the_same_sender_is_shown() -> None:
    rig = AgentRig()
    rig.receive(message(branch="a", cseq=7))
    rig.receive(message(branch="b", cseq=8))
    assert len(rig.events) == 2


@pytest.mark.parametrize(
    ("date", "expires", "expired"),
    [
        ("Fri, 15 Jan 2027 07:00:00 GMT", "60", True),
        ("Fri, 15 Jan 2027 08:00:00 GMT", "60", False),
        (None, "1", False),
        ("Fri, 15 Jan 2027 07:00:00 GMT", None, False),
        ("yesterday", "60", False),
    ],
)
def test_s06_message_that_came_too_late_says_so(date: str | None, expires: str | None, expired: bool) -> None:
    rig = AgentRig()
    fields = [(name, value) for name, value in (("Date", date), ("Expires", expires)) if value is not None]
    rig.receive(message(*fields))
    assert rig.response().status == 200
    (event,) = rig.events
    assert isinstance(event, MessageReceived)
    assert event.expired is expired


def test_s07_contact_and_record_route_in_a_message_make_no_dialog() -> None:
    rig = AgentRig()
    rig.receive(message(("Contact", "<sip:bob@192.0.2.8>"), ("Record-Route", "<sip:edge;lr>")))
    assert rig.response().status == 200
    assert answered(rig, message(branch="b", cseq=8, to="<sip:alice@example.com>;tag=1"))[0] == 481


def test_content_that_is_not_taken_gets_415_and_what_is() -> None:
    rig = AgentRig(options=AgentOptions(accept=("text/plain", "message/cpim")))
    assert answered(rig, message(content_type="image/png")) == (415, "text/plain, message/cpim")
    assert answered(rig, message(content_type="text/html", branch="b", cseq=8))[0] == 415
    assert answered(rig, message(content_type="", branch="c", cseq=9))[0] == 415
    assert answered(rig, message(content_type="TEXT/Plain;charset=utf-8", branch="d", cseq=10))[0] == 200
    assert len(rig.events) == 1


def test_content_that_is_encoded_gets_415() -> None:
    rig = AgentRig()
    rig.receive(message(("Content-Encoding", "gzip")))
    response = rig.response()
    assert (response.status, response.get("accept-encoding")) == (415, "identity")
    assert rig.events == []


def test_empty_message_is_taken() -> None:
    assert answered(AgentRig(), message(content_type="", body=b""))[0] == 200


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (message(method="INVITE"), (405, "MESSAGE, OPTIONS")),
        (message(method="SUBSCRIBE"), (405, "MESSAGE, OPTIONS")),
        (message(method="FROBNICATE"), (501, "MESSAGE, OPTIONS")),
        (message(("Require", "100rel, timer")), (420, "100rel, timer")),
    ],
)
def test_what_is_not_supported_is_named(request_: Request, expected: tuple[int, str]) -> None:
    rig = AgentRig()
    assert answered(rig, request_) == expected
    assert rig.events == []


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (message(to="<sip:alice@example.com>;tag=gone"), 481),
        (message(method="BYE", to="<sip:alice@example.com>;tag=gone"), 481),
        (message(method="CANCEL"), 481),
        (message(uri="mailto:alice@example.com"), 416),
        (message(uri="sip:"), 400),
        (message(("Expires", "soon")), 400),
    ],
)
def test_what_belongs_to_nothing_here_is_refused(request_: Request, status: int) -> None:
    assert answered(AgentRig(), request_)[0] == status


def test_options_tells_what_we_can() -> None:
    rig = AgentRig()
    rig.receive(message(method="OPTIONS", content_type="", body=b""))
    response = rig.response()
    assert response.status == 200
    assert response.get("allow") == "MESSAGE, OPTIONS"
    assert "text/*" in response.items("accept")


def test_ack_is_never_answered() -> None:
    rig = AgentRig()
    rig.receive(message(method="ACK"))
    assert rig.wire.sent == []


def test_response_names_where_the_request_came_from() -> None:
    rig = AgentRig()
    request = message()
    request.set("Via", "SIP/2.0/TCP proxy.example.com;branch=z9hG4bKa;rport")
    rig.receive(request)
    via = rig.response().via
    assert (via.parameters["received"], via.parameters["rport"]) == ("192.0.2.1", "5060")


def test_broken_request_is_refused_as_far_as_it_can_be_answered() -> None:
    rig = AgentRig()
    (broken,) = StreamFramer().receive_data(bytes(message()).replace(b"Content-Length: 5", b"Content-Length: x"))
    assert isinstance(broken, SipError)
    rig.agent.refuse(broken, rig.flow)
    assert rig.response().status == 400
    rig.agent.refuse(SipError("no request"), rig.flow)
    assert rig.wire.sent == []


def test_broken_responses_are_dropped() -> None:
    rig = AgentRig()
    rig.send("sip:bob@example.com")
    request = rig.request()
    request.remove("cseq")
    rig.answer(request, 200, "OK")
    assert rig.outcomes == []
