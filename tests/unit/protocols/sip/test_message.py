"""Reading and changing messages: what was not touched stays, octet by octet."""

import pytest

from wigwag.errors import LocalProtocolError
from wigwag.protocols.sip import (
    LARGEST_BODY,
    MAX_FIELDS,
    MAX_HEAD,
    Request,
    Response,
    SipError,
    StreamFramer,
    parse_datagram,
    validate,
)

HEAD = (
    b"INVITE  sip:bob@example.com  SIP/2.0\r\n"
    b"vIa  : SIP/2.0/TCP b;branch=z9hG4bKb ,SIP/2.0/UDP a;branch=z9hG4bKa\r\nVia: SIP/2.0/UDP c\r\n"
    b"Max-Forwards: 70\r\nf: <sip:a@example.com>;tag=1\r\nt: Bob\r\n <sip:bob@example.com>\r\n"
    b"i: 1\r\nCSEQ: 1  INVITE\r\n"
    b"X-Own: \xff\xfe\r\nl: 4\r\n\r\n"
)
DATA = HEAD.replace(b"INVITE  sip:bob@example.com  ", b"INVITE sip:bob@example.com ") + b"\0\r\n\xff"


def read() -> Request:
    message = parse_datagram(DATA)
    assert isinstance(message, Request)
    validate(message)
    return message


def test_what_is_changed_changes_and_nothing_else() -> None:
    request = read()
    assert bytes(request) == DATA
    request.set("Max-Forwards", "69")
    assert bytes(request) == DATA.replace(b"Max-Forwards: 70", b"Max-Forwards: 69")
    request.insert("Via", "SIP/2.0/UDP d;branch=z9hG4bKd")
    assert bytes(request) == DATA.replace(b"70", b"69").replace(b"vIa", b"Via: SIP/2.0/UDP d;branch=z9hG4bKd\r\nvIa")
    assert request.via.host == "d"
    assert request.pop_item("via") == "SIP/2.0/UDP d;branch=z9hG4bKd"
    request.set("Max-Forwards", "70")
    assert bytes(request) == DATA


def test_list_fields_are_pushed_popped_and_replaced_in_order() -> None:
    request = read()
    assert request.pop_item("via") == "SIP/2.0/TCP b;branch=z9hG4bKb"
    assert request.via.branch == "z9hG4bKa"
    request.replace_item("via", "SIP/2.0/UDP e")
    assert request.items("via") == ["SIP/2.0/UDP e", "SIP/2.0/UDP c"]
    request.insert("Record-Route", "<sip:r1;lr>")
    request.insert("Record-Route", "<sip:r2;lr>")
    assert request.items("record-route") == ["<sip:r2;lr>", "<sip:r1;lr>"]
    assert request.names[:4] == ["via", "via", "record-route", "record-route"]
    assert [request.pop_item("via") for _ in range(3)] == ["SIP/2.0/UDP e", "SIP/2.0/UDP c", None]
    request.insert("Route", "<sip:x;lr>")
    assert request.names[0] == "route"


def test_a_copy_changes_by_itself() -> None:
    request = read()
    copy = request.copy()
    copy.set("To", "<sip:eve@example.com>")
    copy.set_uri("sip:eve@example.com")
    copy.remove("X-OWN")
    assert bytes(request) == DATA
    assert copy.to.uri == "sip:eve@example.com"
    assert request.to.uri == "sip:bob@example.com"
    response = Response.to_request(request, 486, "Busy Here")
    other = response.copy()
    other.append("Warning", '399 x "y"')
    assert b"Warning" not in bytes(response)


def test_fields_read_before_are_read_anew_after_a_change() -> None:
    request = read()
    request.set("From", "<sip:z@example.com>;tag=2")
    request.set("CSeq", "2 INVITE")
    request.set("i", "other")
    assert (request.from_.tag, request.cseq.number, request.call_id) == ("2", 2, "other")
    request.remove("call-id")
    with pytest.raises(SipError, match="Call-ID is missing"):
        _ = request.call_id


def test_a_response_takes_what_rfc_3261_section_8_2_6_says() -> None:
    request = read()
    request.append("Timestamp", "54")
    response = Response.to_request(request, 180, "Ringing", to_tag="t1", fields=[("Contact", "<sip:me>")], body=b"x")
    assert response.items("via") == request.items("via")
    assert (response.to.tag, response.from_.tag, response.cseq) == ("t1", "1", request.cseq)
    assert "timestamp" not in response
    assert bytes(response).endswith(b"Contact: <sip:me>\r\nContent-Length: 1\r\n\r\nx")
    trying = Response.to_request(request, 100, "Trying", to_tag="t1")
    assert trying.to.tag is None
    assert trying.get("timestamp") == "54"
    request.set("To", "<sip:bob@example.com>;tag=theirs")
    assert Response.to_request(request, 200, "OK", to_tag="t1").to.tag == "theirs"


def test_a_half_read_request_is_answered_with_one_of_each_field() -> None:
    with pytest.raises(SipError) as caught:
        parse_datagram(
            b'INVITE sip:a SIP/2.0\r\nTo: <sip:a>;tag=\r\nTo: "x\r\nBad Field\r\nCall-ID: 1\r\nCall-ID: 2\r\n\r\n'
        )
    assert caught.value.request is not None
    answer = Response.to_request(caught.value.request, 400, caught.value.reason, to_tag="t")
    assert answer.names == ["to", "call-id", "content-length"]
    assert answer.get("to") == "<sip:a>;tag="


def test_an_answer_holds_no_control_character_of_the_request() -> None:
    with pytest.raises(SipError) as caught:
        parse_datagram(b"OPTIONS sip:a SIP/2.0\r\nCall-ID: 1\nEvil: 2\0\r\nVia: SIP/2.0/UDP a\r\n \r\r\n\r\n")
    assert caught.value.request is not None
    answer = bytes(Response.to_request(caught.value.request, 400, "Bad"))
    assert b"Call-ID: 1 Evil: 2 \r\n" in answer
    assert answer.count(b"\n") == answer.count(b"\r\n") == answer.count(b"\r")


@pytest.mark.parametrize("name", ["", " ", ":", "a b", "a:", "ä", "a\r\n", " a"])
def test_a_field_that_can_not_be_is_our_own_error(name: str) -> None:
    with pytest.raises(LocalProtocolError):
        read().append(name, "x")


@pytest.mark.parametrize("uri", ["", "sip:a b", "sip:ä", "sip:a\t", "sip:\udcff"])
def test_a_request_uri_that_can_not_be_is_our_own_error(uri: str) -> None:
    with pytest.raises(LocalProtocolError):
        read().set_uri(uri)


def limits(head: int = 0, fields: int = 0, body: int = 0) -> bytes:
    lines = [b"OPTIONS sip:a SIP/2.0", b"Via: SIP/2.0/TCP a;branch=z9hG4bKa", b"From: <sip:a>;tag=1", b"To: <sip:a>"]
    lines += [b"Call-ID: 1", b"CSeq: 1 OPTIONS", b"Content-Length: %d" % body]
    lines += [b"Foo: bar"] * (fields - 6)
    if head:
        lines.append(b"Foo: " + b"x" * (head - len(b"\r\n".join(lines)) - 7))
    return b"\r\n".join(lines) + b"\r\n\r\n" + b"x" * body


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (limits(head=MAX_HEAD), 0),
        (limits(head=MAX_HEAD + 1), 513),
        (limits(fields=MAX_FIELDS), 0),
        (limits(fields=MAX_FIELDS + 1), 513),
        (limits(body=LARGEST_BODY), 0),
        (limits(body=LARGEST_BODY + 1), 413),
    ],
    ids=["head", "head+1", "fields", "fields+1", "body", "body+1"],
)
def test_what_is_larger_than_is_read_is_refused_and_can_be_answered(data: bytes, status: int) -> None:
    for piece in (len(data), 65_536, 1000):
        framer = StreamFramer()
        found = [each for at in range(0, len(data), piece) for each in framer.receive_data(data[at : at + piece])]
        assert len(found) == 1
        if not status:
            assert isinstance(found[0], Request)
            assert bytes(found[0]) == data
        else:
            assert isinstance(found[0], SipError)
            assert found[0].status == status
            assert found[0].request is not None
            assert Response.to_request(found[0].request, status, "x").via.branch == "z9hG4bKa"
            assert framer.buffered == 0


def test_a_body_larger_than_wanted_is_refused_in_a_datagram_too() -> None:
    with pytest.raises(SipError) as caught:
        parse_datagram(limits(body=101), largest_body=100)
    assert caught.value.status == 413
    assert parse_datagram(limits(body=100), largest_body=100).body == b"x" * 100


def test_a_head_without_end_is_given_up_at_the_limit_and_not_before() -> None:
    framer = StreamFramer()
    data = limits(head=MAX_HEAD)[:-1]
    assert framer.receive_data(data) == []
    assert framer.mid_message
    assert framer.buffered == len(data)
    (error,) = framer.receive_data(b"x" * 4)
    assert isinstance(error, SipError)
    assert error.status == 513


def test_a_response_that_can_not_be_is_dropped() -> None:
    good = (
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>\r\nCall-ID: 1\r\nCSeq: 1 A\r\n\r\n"
    )
    validate(parse_datagram(good))
    for broken in (
        good.replace(b"CSeq: 1 A", b"CSeq: x"),
        good.replace(b"To: ", b"To: <"),
        good.replace(b"Via", b"Vi"),
    ):
        with pytest.raises(SipError) as caught:
            validate(parse_datagram(broken))
        assert caught.value.request is None
