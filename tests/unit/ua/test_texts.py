"""Texts of applications are looked at before anything is done with them."""

import pytest

from wigwag.errors import InvalidRequestError
from wigwag.ua.texts import checked_labels, checked_text, checked_types, checked_uri


@pytest.mark.parametrize("text", ["a\rb", "a\nb", "a\r\nVia: x", "\x00", "\x7f"])
def test_no_control_character_gets_through_in_any_text(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="subject"):
        checked_text("subject", text)
    with pytest.raises(InvalidRequestError, match="to_uri"):
        checked_uri("to_uri", f"sip:{text}@example.com")
    with pytest.raises(InvalidRequestError, match="labels"):
        checked_labels("labels", {"ticket": text})
    with pytest.raises(InvalidRequestError, match=r"^labels: the name '.*' holds a control character"):
        checked_labels("labels", {text: "x"})


@pytest.mark.parametrize("uri", ["", "alice", "http://example.com", "sip:", "sip:a@", "tel:", "sip:a b@c"])
def test_what_is_no_address_is_named(uri: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"^to_uri: "):
        checked_uri("to_uri", uri)


@pytest.mark.parametrize("uri", ["sip:a@b?Subject=x", "sip:a@b?", "sip:b?X=y"])
def test_an_address_brings_no_header_fields_along(uri: str) -> None:
    with pytest.raises(InvalidRequestError, match="to_uri: has header fields"):
        checked_uri("to_uri", uri)


@pytest.mark.parametrize("uri", ["sip:alice@example.com", "sips:alice@example.com", "tel:+15551234", "sip:a?b@c"])
def test_addresses_pass_as_they_are(uri: str) -> None:
    assert checked_uri("to_uri", uri) == uri


def test_media_ranges_are_told_from_nonsense() -> None:
    assert checked_types("accept_types", ["Text/Plain", "image/*", "*"]) == ("text/plain", "image/*", "*")
    for nonsense in ("text", "text/plain;charset=utf-8", "*/plain", "text/plain, a/b", ""):
        with pytest.raises(InvalidRequestError, match="accept_types"):
            checked_types("accept_types", [nonsense])


def test_labels_are_few_and_short() -> None:
    with pytest.raises(InvalidRequestError, match="more than"):
        checked_labels("labels", {str(number): "x" for number in range(33)})
    with pytest.raises(InvalidRequestError, match="longer"):
        checked_labels("labels", {"a": "x" * 255})
