"""What the edge and the user agent agree on."""

import re

import pytest

from wigwag.protocols.sip import SipUri, parse_uri
from wigwag.runtime.agents import ApplicationUris, pod_instance, pods_aor

URIS = ApplicationUris(
    [
        ("helpdesk", ["sip:helpdesk@example.com", "sip:desk-*@Example.com"]),
        ("rest", ["sip:*@example.com", "sip:helpdesk@example.com"]),
        ("other", ["sip:desk-1@example.com"]),
    ]
)


def uri(text: str) -> SipUri:
    found = parse_uri(text)
    assert isinstance(found, SipUri)
    return found


def test_instance_is_the_same_for_one_pod_and_another_for_any_other() -> None:
    assert pod_instance("ua-0.1") == pod_instance("ua-0.1") != pod_instance("ua-0.2")
    assert pod_instance("ua-0.1") == "urn:uuid:3f2befce-c05a-5cc0-9f1e-8cfc0719d375"


def test_pods_register_at_the_domain_whatever_its_case() -> None:
    assert pods_aor("Agents.Invalid") == "sip:pods@agents.invalid"


@pytest.mark.parametrize(
    ("address", "owner"),
    [
        ("sip:helpdesk@example.com", "helpdesk"),
        ("sips:help%64esk@EXAMPLE.com:5061;transport=tls", "helpdesk"),
        ("sip:desk-7@example.com", "helpdesk"),
        ("sip:desk-1@example.com", "other"),
        ("sip:Helpdesk@example.com", "rest"),
        ("sip:helpdesk@example.org", None),
        ("sip:example.org", None),
    ],
)
def test_address_in_full_goes_before_patterns_and_the_first_pattern_before_others(
    address: str, owner: str | None
) -> None:
    assert URIS.owner(uri(address)) == owner


def test_nobody_owns_anything_without_applications() -> None:
    assert ApplicationUris().owner(uri("sip:helpdesk@example.com")) is None


@pytest.mark.parametrize(
    "text", ["helpdesk", "tel:+49301", "sip:example.com", "sip:a@*.example.com", "sip:a b@example.com", "*"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        ApplicationUris([("helpdesk", [text])])
