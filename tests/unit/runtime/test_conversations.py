"""The conversation key is the same for both parties, whatever way their addresses are written."""

import pytest

from wigwag.protocols.sip import SipError
from wigwag.runtime.conversations import AddressTooLongError, canonical_address, conversation_key


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("sip:bob@Example.COM", "sip:bob@example.com"),
        ("sips:bob@example.com:5061;transport=tcp?subject=x", "sip:bob@example.com"),
        ("sip:%62ob@example.com", "sip:bob@example.com"),
        ("tel:+1-201-555-0123", "+12015550123"),
        ("sip:+1-201-555-0123@example.com;user=phone", "+12015550123"),
        ("sip:+12015550123@example.com", "sip:+12015550123@example.com"),
        ("sip:1234@example.com;user=phone", "sip:1234@example.com"),
        ("sip:+1~2@example.com;user=phone", "sip:+1~2@example.com"),
        ("sip:+@example.com;user=phone", "sip:+@example.com"),
        ("tel:20-15;phone-context=Example.com", "2015;phone-context=example.com"),
        ("sip:example.com", "sip:example.com"),
    ],
)
def test_address_has_one_form(uri: str, address: str) -> None:
    assert canonical_address(uri) == address


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(SipError):
        canonical_address("http://example.com")
    with pytest.raises(AddressTooLongError):
        canonical_address(f"sip:{'b' * 250}@example.com")


def test_key_does_not_depend_on_who_begins() -> None:
    assert conversation_key("sip:a@x", "sip:b@x", "7") == conversation_key("sip:b@x", "sip:a@x", "7")


def test_routes_and_parties_make_different_keys() -> None:
    keys = {conversation_key(*parts) for parts in (("a", "b"), ("a", "b", "7"), ("a", "c"), ("ab", ""), ("a", "b 7"))}
    assert len(keys) >= 4


def test_key_is_never_longer_than_the_ledger_holds() -> None:
    longest = conversation_key("a" * 255, "b" * 255, "a service")
    assert len(longest) <= 512
    assert longest != conversation_key("a" * 255, "c" * 255, "a service")
