"""Whom a certificate speaks for in SIP (RFC 5922 sections 7.1 and 7.2)."""

import pytest

from wigwag.transport.sip_identity import sip_identities, speaks_for


def certificate(*names: str) -> dict[str, object]:
    pairs = tuple(tuple(name.split("=", 1)) for name in names)
    return {"subject": ((("commonName", "common.test"),),), "subjectAltName": pairs}


@pytest.mark.parametrize(
    ("names", "identities"),
    [
        ([], ()),
        (["DNS=Example.test", "DNS=other.test"], ("example.test", "other.test")),
        (["URI=sip:Example.test", "DNS=host.test"], ("example.test",)),
        (["URI=SIP:example.test;transport=tls"], ("example.test",)),
        (["URI=sip:alice@example.test", "DNS=host.test"], ("host.test",)),
        (["URI=sips:example.test", "URI=https://example.test", "DNS=host.test"], ("host.test",)),
        (["URI=sip:", "URI=nonsense"], ()),
    ],
)
def test_sip_uris_decide_and_else_the_dns_names(names: list[str], identities: tuple[str, ...]) -> None:
    assert sip_identities(certificate(*names)) == identities


@pytest.mark.parametrize(
    ("names", "domain", "expected"),
    [
        (["DNS=example.test"], "EXAMPLE.test.", True),
        (["DNS=example.test"], "sub.example.test", False),
        (["DNS=*.example.test"], "sub.example.test", False),
        (["DNS=sub.example.test"], "example.test", False),
        (["URI=sip:example.test", "DNS=host.test"], "host.test", False),
        ([], "common.test", False),
        (["IP Address=192.0.2.1"], "192.0.2.1", True),
        (["DNS=192.0.2.1"], "192.0.2.1", False),
        (["IP Address=192.0.2.1"], "192.0.2.2", False),
        (["IP Address=2001:DB8:0:0:0:0:0:1"], "[2001:db8::1]", True),
        (["IP Address=2001:DB8:0:0:0:0:0:1\n"], "2001:db8::1", True),
    ],
)
def test_a_domain_is_matched_whole(names: list[str], domain: str, expected: bool) -> None:
    assert speaks_for(certificate(*names), domain) is expected


@pytest.mark.parametrize(
    ("domain", "expected"), [("a.example.test", True), ("a.b.example.test", False), ("example.test", False)]
)
def test_wildcards_match_one_label_where_they_may(domain: str, expected: bool) -> None:
    assert speaks_for(certificate("DNS=*.example.test"), domain, wildcards=True) is expected


@pytest.mark.parametrize("nothing", [None, {}, b""])
def test_no_certificate_speaks_for_nobody(nothing: object) -> None:
    assert not speaks_for(nothing, "example.test")
