"""Rows of the interoperability list that are about reading and writing messages, by their numbers."""

import pytest

from wigwag.errors import LocalProtocolError
from wigwag.protocols.sip import (
    KEEP_ALIVE,
    Received,
    Request,
    Response,
    SipError,
    StreamFramer,
    build_multipart,
    parse_datagram,
    parse_uri,
    parse_via,
    validate,
)

FIELDS = [
    ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK776sgdkse"),
    ("Max-Forwards", "70"),
    ("From", '"Alice" <sip:alice@example.com>;tag=49583'),
    ("To", "<sip:bob@example.com>"),
    ("Call-ID", "a84b4c76e66710"),
    ("CSeq", "314 MESSAGE"),
    ("Content-Type", "text/plain"),
]


def text(
    fields: list[tuple[str, str]] = FIELDS, body: str = "Hello", start: str = "", length: str | None = None
) -> bytes:
    lines = [start or "MESSAGE sip:bob@example.com SIP/2.0", *(f"{name}: {value}" for name, value in fields)]
    if length != "":
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def with_field(name: str, value: str) -> list[tuple[str, str]]:
    return [(held, value if held == name else old) for held, old in FIELDS]


def read(data: bytes) -> Request:
    message = parse_datagram(data)
    validate(message)
    assert isinstance(message, Request)
    return message


def refused(data: bytes) -> SipError:
    with pytest.raises(SipError) as caught:
        read(data)
    assert caught.value.request is not None
    return caught.value


def test_s13_an_unknown_method_is_read() -> None:
    data = text(with_field("CSeq", "1 FROBNICATE"), start="FROBNICATE sip:bob@example.com SIP/2.0")
    assert read(data).method == "FROBNICATE"


def test_s14_cseq_names_the_method_of_the_request_line() -> None:
    assert refused(text(with_field("CSeq", "314 INVITE"))).status == 400
    assert refused(text(with_field("CSeq", "314 message"))).status == 400


@pytest.mark.parametrize("length", ["6", "9999", "-1", "+5", "5 6", "5.0", "0x5", "five", "", " ", str(2**64)])
def test_s15_a_content_length_that_can_not_be_is_refused(length: str) -> None:
    data = text().replace(b"Content-Length: 5", f"Content-Length: {length}".encode())
    assert refused(data).status == 400


def test_s15_two_different_content_lengths_are_refused_two_equal_ones_are_not() -> None:
    assert refused(text([*FIELDS, ("l", "4")])).status == 400
    assert read(text([*FIELDS, ("l", "5")])).body == b"Hello"


def test_s15_without_content_length_the_rest_of_a_datagram_or_websocket_message_is_the_body() -> None:
    assert read(text(length="")).body == b"Hello"


def test_s15_without_content_length_a_stream_can_not_be_read() -> None:
    (error,) = StreamFramer().receive_data(text(length=""))
    assert isinstance(error, SipError)
    assert (error.status, error.request is not None) == (400, True)


def test_s16_two_requests_in_one_segment_and_keep_alives_between_are_all_handled() -> None:
    found = StreamFramer().receive_data(b"\r\n\r\n" + text() + b"\r\n\r\n" + text() + b"\r\n")
    assert [type(each).__name__ for each in found] == ["KeepAlive", "Request", "KeepAlive", "Request"]


def test_s16_one_request_over_many_segments_is_one_request() -> None:
    framer, found = StreamFramer(), list[Received]()
    data = b"\r\n" + text()
    for octet in range(len(data)):
        assert framer.mid_message == (octet in range(3, len(data)) or octet == 1)
        found += framer.receive_data(data[octet : octet + 1])
    (message,) = found
    assert isinstance(message, Request)
    assert message.body == b"Hello"


def test_s16_half_a_keep_alive_is_none() -> None:
    framer = StreamFramer()
    assert framer.receive_data(b"\r\n") == []
    assert not framer.mid_message
    assert framer.receive_data(b"\r\n") == [KEEP_ALIVE]


def test_s17_compact_forms_folds_and_odd_case_are_read() -> None:
    data = (
        b"MESSAGE sip:bob@example.com SIP/2.0\r\nv : SIP / 2.0 / UDP\r\n\t192.0.2.1 ;branch = z9hG4bKa\r\n"
        b'F: "A"\r\n  <sip:a@example.com>\r\n ;tag=1\r\nt:<sip:bob@example.com>\r\n'
        b"I:1\r\ncSeQ:1\r\n MESSAGE\r\nL:0\r\n\r\n"
    )
    request = read(data)
    assert (request.via.transport, request.via.branch) == ("UDP", "z9hG4bKa")
    assert (request.from_.display_name, request.from_.tag) == ("A", "1")
    assert bytes(request) == data


def test_s18_values_in_one_field_and_in_several_mean_the_same() -> None:
    one = read(text([("Route", "<sip:a;lr>, <sip:b;x=1>"), ("Route", "<sip:c>"), *FIELDS]))
    other = read(text([("Route", "<sip:a;lr>"), ("Route", "<sip:b;x=1>,<sip:c>"), *FIELDS]))
    assert one.items("route") == other.items("route") == ["<sip:a;lr>", "<sip:b;x=1>", "<sip:c>"]
    assert [one.pop_item("route") for _ in range(4)] == ["<sip:a;lr>", "<sip:b;x=1>", "<sip:c>", None]


def test_s19_max_forwards_is_0_to_255_or_missing() -> None:
    assert read(text(with_field("Max-Forwards", "0"))).number("max-forwards") == 0
    assert read(text(with_field("Max-Forwards", "255"))).number("max-forwards") == 255
    assert read(text([pair for pair in FIELDS if pair[0] != "Max-Forwards"])).number("max-forwards") is None
    assert refused(text(with_field("Max-Forwards", "256"))).status == 400


@pytest.mark.parametrize(
    ("uri", "status"),
    [
        ("tel:+12015550123", 0),
        ("sips:bob@example.com", 0),
        ("sip:%62ob;x=y@example.com", 0),
        ("sip:a@[::1]:5060;lr", 0),
        ("foo:bar", 416),
        ("http://example.com", 416),
        ("sip:b%ob@example.com", 400),
        ("sip:", 400),
        ("bob", 400),
        ("sip:bob@example.com;x=" + "a" * 2048, 414),
        ("sip:bob@example.com?subject=x", 400),
    ],
)
def test_s20_request_uris_of_all_kinds(uri: str, status: int) -> None:
    data = text(start=f"MESSAGE {uri} SIP/2.0")
    if status:
        assert refused(data).status == status
    else:
        assert read(data).uri == uri


def test_s21_display_names_are_kept_and_have_to_end() -> None:
    name = read(text(with_field("From", r'"Zoë \"Z\" \\ Müller, <x>" <sip:z@example.com>;tag=1'))).from_
    assert name.display_name == 'Zoë "Z" \\ Müller, <x>'
    assert str(name) == r'"Zoë \"Z\" \\ Müller, <x>" <sip:z@example.com>;tag=1'
    assert refused(text(with_field("To", '"Bob <sip:bob@example.com>'))).status == 400


def test_s23_rport_and_received_are_filled_in() -> None:
    request = read(
        text(with_field("Via", "SIP/2.0/UDP client:5060;rport;branch=z9hG4bKa, SIP/2.0/TCP b;branch=z9hG4bKb"))
    )
    via = request.via
    assert (via.parameters["rport"], via.sent_by) == (None, "client:5060")
    via.parameters |= {"rport": "40000", "received": "192.0.2.7"}
    request.replace_item("via", str(via))
    first, second = request.items("via")
    assert first == "SIP/2.0/UDP client:5060;rport=40000;branch=z9hG4bKa;received=192.0.2.7"
    assert second == "SIP/2.0/TCP b;branch=z9hG4bKb"
    assert request.via.parameters["rport"] == "40000"


def test_s24_where_a_response_goes_is_in_its_via() -> None:
    via = parse_via("SIP/2.0/UDP Host.Example:5090;maddr=239.255.255.1;ttl=16;branch=z9hG4bKa")
    assert (via.host, via.port, via.parameters["maddr"], via.parameters["ttl"]) == (
        "host.example", 5090, "239.255.255.1", "16",
    )  # fmt: skip
    assert parse_via("SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bKa").transport == "WSS"


@pytest.mark.parametrize("status", ["099", "700", "20", "2000", "999", "-20", "1e2", "٢٠٠"])
def test_s43_a_status_that_does_not_exist_is_dropped(status: str) -> None:
    with pytest.raises(SipError) as caught:
        parse_datagram(text(start=f"SIP/2.0 {status} OK"))
    assert caught.value.request is None


@pytest.mark.parametrize("phrase", ["", "Ça va 👍", "x" * 10_000, "OK", "SIP/2.0"])
def test_s43_any_phrase_is_read_and_written_again(phrase: str) -> None:
    data = text(start=f"SIP/2.0 200 {phrase}")
    response = parse_datagram(data)
    assert isinstance(response, Response)
    assert response.reason == phrase
    assert bytes(response) == data


INJECTIONS = ["a\r\nEvil: 1", "a\nEvil: 1", "a\rEvil: 1", "a\r\n\r\nbody", "a\0b", "a\x0bb", "a\x1bb", "a\r\n b"]


@pytest.mark.parametrize("value", INJECTIONS)
def test_s53_no_value_makes_a_header_field_of_its_own(value: str) -> None:
    request = read(text())
    before = bytes(request)
    for change in (request.insert, request.append, request.set):
        for name in ("Subject", "To", "X-Own"):
            with pytest.raises(LocalProtocolError):
                change(name, value)
            with pytest.raises(LocalProtocolError):
                change(f"{name}{value}", "x")
    with pytest.raises(LocalProtocolError):
        request.replace_item("via", value)
    with pytest.raises(LocalProtocolError):
        request.set_uri(f"sip:{value}@example.com")
    with pytest.raises(LocalProtocolError):
        request.set_body(b"x", value)
    with pytest.raises(LocalProtocolError):
        Request.create("MESSAGE", "sip:bob@example.com", [("Subject", value)])
    with pytest.raises(LocalProtocolError):
        Request.create(value, "sip:bob@example.com", [])
    with pytest.raises(LocalProtocolError):
        Response.to_request(request, 200, "OK", fields=[("Subject", value)])
    with pytest.raises(LocalProtocolError):
        build_multipart([([("Content-Type", value)], b"")], "b")
    assert bytes(request) == before


@pytest.mark.parametrize("value", INJECTIONS)
def test_s53_a_reason_phrase_stays_on_its_line(value: str) -> None:
    answer = Response.to_request(read(text()), 400, value)
    again = parse_datagram(bytes(answer))
    assert isinstance(again, Response)
    assert again.names == answer.names
    assert "evil" not in again.names


SPELLINGS = [
    "P-Asserted-Identity: <sip:boss@example.com>",
    "P-Asserted-Identity : <sip:boss@example.com>",
    "p-asserted-identity\t \t:<sip:boss@example.com>",
    "P-ASSERTED-IDENTITY:\r\n <sip:boss@example.com>",
    "P-Asserted-Identity: <sip:a@example.com>\r\n\t, <sip:b@example.com>",
]


@pytest.mark.parametrize("line", SPELLINGS)
def test_s54_a_field_is_removed_however_it_is_spelled(line: str) -> None:
    request = read(text().replace(b"Max-Forwards", f"{line}\r\n{SPELLINGS[0]}\r\nMax-Forwards".encode()))
    assert request.remove("p-asserted-identity")
    assert b"boss" not in bytes(request)
    assert b"asserted" not in bytes(request).lower()
    assert bytes(request) == text()


def test_s54_compact_forms_are_removed_and_changed_too() -> None:
    request = read(text([*FIELDS, ("y", "eyJ;info=<a>;alg=ES256"), ("s", "one"), ("Subject ", "two")]))
    assert request.remove("Identity")
    request.set("Subject", "three")
    assert request.get_all("subject") == ["three"]
    assert b"eyJ" not in bytes(request)
    parse_uri(request.uri)
