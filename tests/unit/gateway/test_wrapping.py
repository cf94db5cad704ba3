"""Addresses as URIs."""

import pytest

from wigwag.gateway.wrapping import uri_of
from wigwag.runtime.conversations import canonical_address


@pytest.mark.parametrize(
    "uri",
    [
        "sip:bob@example.com",
        "sip:example.com",
        "tel:+12015550123",
        "tel:112",
        "tel:*21#",
        "tel:2015;phone-context=example.com",
        "tel:2015;phone-context=+1:2",
        "sip:+1~2@example.com;user=phone",
    ],
)
def test_the_uri_of_an_address_has_this_address(uri: str) -> None:
    address = canonical_address(uri)
    assert canonical_address(uri_of(address)) == address
