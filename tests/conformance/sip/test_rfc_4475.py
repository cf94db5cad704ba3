"""What an application reads out of the well-formed messages of RFC 4475, by section."""

import pytest

from tests.support.sip_vectors import VECTORS
from wigwag.protocols.sip import (
    NameAddress,
    Request,
    Response,
    SipError,
    SipUri,
    UnsupportedSchemeError,
    aor_of,
    comparison_key,
    equivalent,
    find_part,
    parse_datagram,
    parse_uri,
    parse_via,
    parts,
    validate,
)


def message(name: str) -> Request | Response:
    found = parse_datagram((VECTORS / "rfc4475" / f"{name}.sip").read_bytes())
    validate(found)
    return found


def request(name: str) -> Request:
    found = message(name)
    assert isinstance(found, Request)
    return found


def sip_uri(text: str) -> SipUri:
    found = parse_uri(text)
    assert isinstance(found, SipUri)
    return found


def test_3_1_1_1_a_short_tortuous_invite_says_what_it_says_unfolded() -> None:
    invite = request("wsinv")
    assert invite.to.uri == "sip:vivekg@chair-dnrc.example.com"
    assert invite.to.tag == "1918181833n"
    assert invite.from_ == NameAddress('J Rosenberg \\"', "sip:jdrosen@example.com", {"tag": "98asjd8"})
    assert invite.number("max-forwards") == 68
    assert invite.cseq == (9, "INVITE")
    assert (invite.via.host, invite.via.branch) == ("192.0.2.2", "390skdjuw")
    vias = [parse_via(each) for each in invite.items("via")]
    assert [via.transport for via in vias] == ["UDP", "TCP", "UDP"]
    assert [via.branch for via in vias] == ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"]
    assert invite.get("subject") == ""
    assert invite.get("newfangledheader") == "newfangled value continued newfangled value"
    assert invite.get("unknownheaderwithunusualvalue") == ";;,,;;,;"
    (contact,) = invite.addresses("contact")
    assert contact.display_name == 'Quoted string ""'
    assert contact.parameters == {"newparam": "newvalue", "secondparam": None, "q": "0.33"}
    (route,) = invite.addresses("route")
    assert sip_uri(route.uri).parameter("unknown-no-value") == ""


def test_3_1_1_2_a_wide_range_of_characters_is_kept() -> None:
    strange = request("intmeth")
    assert strange.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert strange.to.display_name == "BEL:\x07 NUL:\x00 DEL:\x7f"
    assert "\x00" not in str(strange.to)
    assert strange.from_.display_name == "token1~` token2'+_ token3*%!.-"
    assert strange.from_.tag == "_token~1'+`*%!-."
    uri = sip_uri(strange.uri)
    assert uri.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert uri.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert aor_of(uri) == "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com"


def test_3_1_1_3_escapes_are_taken_away_once() -> None:
    invite = request("esc01")
    assert sip_uri(invite.uri).user == "sips%3Auser%40example.com"
    assert aor_of(parse_uri(invite.to.uri)) == "sip:user@example.com"
    (contact,) = invite.addresses("contact")
    assert ("n%61me", "v%61lue%25%34%31") in sip_uri(contact.uri).parameters


def test_3_1_1_4_nulls_in_uris_shorten_nobody() -> None:
    register = request("escnull")
    assert aor_of(parse_uri(register.to.uri)) == "sip:null-%00-null@example.com"
    one, other = (parse_uri(contact.uri) for contact in register.addresses("contact"))
    assert not equivalent(one, other)
    assert comparison_key(one) != comparison_key(other)


def test_3_1_1_5_a_percent_sign_that_is_no_escape_stays() -> None:
    strange = request("esc02")
    assert strange.method == "RE%47IST%45R"
    assert strange.to.display_name == "%Z%45"
    assert [contact.uri for contact in strange.addresses("contact")] == [
        "sip:alias1@host1.example.com",
        "sip:alias3@host3.example.com",
    ]


def test_3_1_1_6_no_blank_is_needed_before_an_angle_bracket() -> None:
    assert request("lwsdisp").from_.display_name == "caller"


def test_3_1_1_7_long_values_are_kept_whole() -> None:
    invite = request("longreq")
    assert invite.from_.tag == "12" + "982" * 50 + "424"
    assert len(invite.items("via")) == 34
    assert parse_via(invite.items("via")[-1]).branch == "very" + "long" * 50 + "branchvalue"


def test_3_1_1_8_what_follows_the_body_in_a_datagram_is_noise() -> None:
    register = request("dblreq")
    assert register.method == "REGISTER"
    assert b"INVITE" not in bytes(register)


def test_3_1_1_9_a_semicolon_may_stand_in_a_user() -> None:
    uri = sip_uri(request("semiuri").uri)
    assert (uri.user, uri.host, uri.parameters) == ("user;par=u%40example.net", "example.com", ())


def test_3_1_1_10_unknown_transports_in_lower_vias_matter_to_nobody() -> None:
    transports = [parse_via(each).transport for each in request("transports").items("via")]
    assert transports == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]


def test_3_1_1_11_parts_with_nulls_are_framed() -> None:
    text, signature = parts(request("mpart01"))
    assert (text.content_type, text.body) == ("text/plain", b"Hello")
    assert signature.content_type == "application/octet-stream"
    assert signature.content.startswith(bytes.fromhex("3082015206092A86"))
    assert signature.content.endswith(bytes.fromhex("65BC99D005"))
    assert find_part(request("mpart01"), "text/plain") == text


def test_3_1_1_12_and_13_any_reason_phrase_will_do() -> None:
    unusual, empty = message("unreason"), message("noreason")
    assert isinstance(unusual, Response)
    assert unusual.reason.startswith("= 2**3 * 5**2 но сто девяносто девять")
    assert isinstance(empty, Response)
    assert (empty.status, empty.reason) == (100, "")


def test_3_1_2_13_an_address_with_a_header_needs_angle_brackets() -> None:
    with pytest.raises(SipError, match="Contact is malformed"):
        request("regbadct").addresses("contact")


def test_3_3_4_any_scheme_may_stand_in_to_and_from() -> None:
    register = request("unksm2")
    assert register.to.uri == "isbn:2983792873"
    with pytest.raises(UnsupportedSchemeError):
        parse_uri(register.to.uri)


def test_3_3_5_options_that_are_required_are_listed() -> None:
    options = request("bext01")
    assert options.items("require") == ["nothingSupportsThis", "nothingSupportsThisEither"]
    assert options.items("proxy-require") == ["noProxiesSupportThis", "norDoAnyProxiesSupportThis"]


def test_3_3_10_the_next_via_of_a_response_is_there_to_be_judged() -> None:
    response = message("bcast")
    response.pop_item("via")
    assert response.via.host == "255.255.255.255"


def test_3_3_12_to_14_parameters_and_headers_of_contacts_belong_where_they_stand() -> None:
    (first,) = request("cparam01").addresses("contact")
    assert (first.parameters, sip_uri(first.uri).parameters) == ({"unknownparam": None}, ())
    (second,) = request("cparam02").addresses("contact")
    assert (second.parameters, sip_uri(second.uri).parameters) == ({}, (("unknownparam", None),))
    (third,) = request("regescrt").addresses("contact")
    assert sip_uri(third.uri).headers == "Route=%3Csip:sip.example.com%3E"


def test_3_4_1_a_request_of_rfc_2543_is_read() -> None:
    invite = request("inv2543")
    assert (invite.via.branch, invite.from_.tag, invite.number("max-forwards")) == ("", None, None)
    assert invite.body.startswith(b"v=0")
    assert aor_of(parse_uri(invite.from_.uri)) == "+13035551111"
