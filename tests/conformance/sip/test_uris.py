"""URIs: the examples of RFC 3261 section 19.1.4, all forms, and addresses of record."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wigwag.protocols.sip import (
    SipError,
    SipUri,
    TelUri,
    UnsupportedSchemeError,
    aor_of,
    comparison_key,
    equivalent,
    parse_uri,
)

SAME = [
    ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
    ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
    (
        "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
        "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
    ),
    (
        "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
    ),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;security=off"),
    ("SIP:alice@a.com", "sip:alice@A.COM"),
    ("sip:a@[2001:DB8::1]", "sip:a@[2001:db8:0:0::1]"),
    ("sip:a@[::ffff:192.0.2.1];ob", "sip:a@[::FFFF:c000:201];ob"),
    ("sip:a@[2001:db8:::192.0.2.1]", "sip:a@[2001:db8::192.0.2.1]"),
    ("sip:a@a.com;x=%41b", "sip:a@a.com;x=aB"),
    ("sip:a%3bb@a.com", "sip:a%3Bb@a.com"),
    ("tel:+1-201-555-0123", "tel:+1(201)5550123"),
    ("tel:7042;phone-context=Example.com", "tel:70-42;phone-context=example.com"),
]
DIFFERENT = [
    ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
    ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
    ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
    ("sip:a@a.com", "sips:a@a.com"),
    ("sip:a@a.com", "sip:a.com"),
    ("sip:a@a.com", "sip:a:@a.com"),
    ("sip:a:B@a.com", "sip:a:b@a.com"),
    ("sip:a@a.com", "sip:a@a.com;user=ip"),
    ("sip:a@a.com;ttl=1", "sip:a@a.com"),
    ("sip:a@a.com;method=INVITE", "sip:a@a.com"),
    ("sip:a@a.com;maddr=192.0.2.1", "sip:a@a.com"),
    ("sip:a;b@a.com", "sip:a%3bb@a.com"),
    ("sip:a@a.com;x=value%2541", "sip:a@a.com;x=value%41"),
    ("tel:+12015550123", "tel:12015550123"),
    ("tel:+12015550123", "tel:+12015550123;ext=5"),
    ("tel:+12015550123", "sip:+12015550123@a.com;user=phone"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_uris_are_equivalent_and_have_one_key(one: str, other: str) -> None:
    assert equivalent(parse_uri(one), parse_uri(other))
    assert equivalent(parse_uri(other), parse_uri(one))
    assert comparison_key(parse_uri(one)) == comparison_key(parse_uri(other))


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_uris_are_not_equivalent(one: str, other: str) -> None:
    assert not equivalent(parse_uri(one), parse_uri(other))
    assert not equivalent(parse_uri(other), parse_uri(one))


USERS = ["", "a", "%61", "A", "a%3b", "a;", "a%00"]
HOSTS = ["x.com", "X.com", "192.0.2.1", "[::1]", "[0::1]"]
PARAMETERS = ["", ";lr", ";transport=tcp", ";Transport=TCP", ";x=1", ";x=2", ";user=phone"]


@given(st.data())
def test_equivalent_uris_always_have_one_key(data: st.DataObject) -> None:
    def drawn() -> str:
        user = data.draw(st.sampled_from(USERS))
        uri = f"{data.draw(st.sampled_from(['sip', 'sips']))}:{user}{'@' if user else ''}"
        uri += data.draw(st.sampled_from(HOSTS)) + data.draw(st.sampled_from(["", ":5060"]))
        return uri + data.draw(st.sampled_from(PARAMETERS)) + data.draw(st.sampled_from(["", "?a=b&c=d", "?c=d&A=b"]))

    uris = [parse_uri(drawn()) for _ in range(4)]
    for one, other in combinations(uris, 2):
        assert equivalent(one, other) == equivalent(other, one)
        if equivalent(one, other):
            assert comparison_key(one) == comparison_key(other)
            assert hash(comparison_key(one)) == hash(comparison_key(other))
        assert equivalent(one, one)


FORMS = [
    "sip:alice@atlanta.com",
    "sip:alice:secretword@atlanta.com;transport=tcp",
    "sips:alice@atlanta.com?subject=project%20x&priority=urgent",
    "sip:+1-212-555-1212:1234@gateway.com;user=phone",
    "sips:1212@gateway.com",
    "sip:alice@192.0.2.4",
    "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
    "sip:alice;day=tuesday@atlanta.com",
    "sip:[2001:db8::10]:5070;lr",
    "sip:x_y-z.example.com.",
    "sip:alice@host;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    "tel:+1-201-555-0123",
    "tel:863-1234;phone-context=+1-914-555",
]


@pytest.mark.parametrize("text", FORMS)
def test_a_uri_of_any_form_is_read_and_written_again(text: str) -> None:
    assert str(parse_uri(text)) == text


def test_the_parts_of_a_uri_are_told_apart() -> None:
    uri = parse_uri("sips:a%20b:p%3Aw@Example.COM:5061;lr;Transport=ws;x=?subject=a%26b")
    assert isinstance(uri, SipUri)
    assert (uri.scheme, uri.user, uri.password, uri.host, uri.port) == ("sips", "a%20b", "p%3Aw", "example.com", 5061)
    assert (uri.parameter("lr"), uri.parameter("transport"), uri.parameter("x")) == ("", "ws", "")
    assert uri.parameter("y") is None
    assert uri.headers == "subject=a%26b"
    assert str(uri.without("lr", "x")) == "sips:a%20b:p%3Aw@example.com:5061;transport=ws?subject=a%26b"
    tel = parse_uri("tel:7042;phone-context=example.com")
    assert isinstance(tel, TelUri)
    assert tel.number == "7042"


MALFORMED = [
    "", ":", "/", "a", "sip", "sip:", "sip::", "sip:@", "sip:a@", "sip:@a", "sip:a@b@c", "sip:a b@c", "sip:a@b c",
    "sip:a@b:", "sip:a@b:0", "sip:a@b:65536", "sip:a@b:-1", "sip:a@b:+1", "sip:a@b:5060x", "sip:a@-b", "sip:a@b-",
    "sip:a@.b", "sip:a@b..c", "sip:a@256.0.0.1", "sip:a@1.2.3", "sip:a@01.2.3.4", "sip:a@[::1", "sip:a@::1]",
    "sip:a@[]", "sip:a@[::1]x", "sip:a@[1::2::3]", "sip:a@[1:::2]",
    "sip:a@[fe80::1%25eth0]", "sip:a@[::1]:0", "sip:%4@b", "sip:%zz@b",
    "sip:a@b;", "sip:a@b;;lr", "sip:a@b;lr;lr", "sip:a@b;=x", "sip:a\0@b", "sip:a@b;x=\0", "sip:ä@b", "sip:a@ä",
    "sip:a@b;x=ä", "sip:a@b?x=<y>", 'sip:a@b;x="y"', "<sip:a@b>", " sip:a@b", "sip:a@b ", "sip:a@b\r\n", "tel:",
    "tel:+", "tel:-", "tel:+1;", "tel:xyz", "tel:+1 2", "1sip:a@b", "sip:" + "a" * 2048 + "@b",
]  # fmt: skip


@pytest.mark.parametrize("text", MALFORMED)
def test_what_is_no_uri_is_refused(text: str) -> None:
    with pytest.raises(SipError) as caught:
        parse_uri(text)
    assert caught.value.status == 400


@pytest.mark.parametrize("text", ["http://example.com", "urn:service:sos", "msrp://[::1]:2855/abc;tcp", "im:a@b", "x:"])
def test_other_schemes_are_unsupported(text: str) -> None:
    with pytest.raises(UnsupportedSchemeError) as caught:
        parse_uri(text)
    assert caught.value.status == 416


@pytest.mark.parametrize(
    ("text", "aor"),
    [
        ("sip:alice@Example.COM", "sip:alice@example.com"),
        ("sips:alice:pw@example.com:5061;transport=tls;lr?x=y", "sip:alice@example.com"),
        ("sip:Alice@example.com", "sip:Alice@example.com"),
        ("sip:%61l%69ce@example.com", "sip:alice@example.com"),
        ("sip:a%20%c3%a9%2fb%3B@example.com", "sip:a%20%C3%A9/b;@example.com"),
        ("sip:a%40b%3a%25@example.com", "sip:a%40b%3A%25@example.com"),
        ("sip:example.com", "sip:example.com"),
        ("sip:a@[2001:DB8:0::1]:5060", "sip:a@[2001:db8::1]"),
        ("tel:+1-(201)-555.0123", "+12015550123"),
        ("sip:+1-201-555-0123@gw.example.com;user=phone", "+12015550123"),
        ("sips:+1%2d201%2D5550123;isub=1@gw.example.com;User=PHONE", "+12015550123"),
        ("sip:+12015550123@gw.example.com", "sip:+12015550123@gw.example.com"),
        ("sip:7042@gw.example.com;user=phone", "sip:7042@gw.example.com"),
        ("sip:alice@gw.example.com;user=phone", "sip:alice@gw.example.com"),
        ("tel:70-42;phone-context=Example.com", "7042;phone-context=example.com"),
    ],
)
def test_the_address_of_record_is_the_same_for_all_spellings(text: str, aor: str) -> None:
    assert aor_of(parse_uri(text)) == aor
