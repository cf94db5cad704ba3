"""a=fingerprint (RFC 8122 section 5)."""

import hashlib

import pytest

from wigwag.protocols.sdp import Fingerprint, SdpError, certificate_matches

CERTIFICATE = b"a certificate in DER"
SHA1 = Fingerprint("sha-1", hashlib.sha1(CERTIFICATE).digest())
SHA256 = Fingerprint.of(CERTIFICATE)
OTHER = Fingerprint("sha-256", bytes(32))


def test_a_fingerprint_is_written_in_upper_case_and_read_in_any() -> None:
    text = "sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB"
    assert str(Fingerprint.parse(text)) == text
    assert Fingerprint.parse(text.lower().replace("sha", "SHA")) == Fingerprint.parse(text)


@pytest.mark.parametrize("value", ["", "sha-1", "sha-1 4A", "sha-256 4A:AD", "sha-1 4AAD", "x 4A:", "x :4A", "x 4G"])
def test_a_malformed_fingerprint_is_refused(value: str) -> None:
    with pytest.raises(SdpError):
        Fingerprint.parse(value)


def test_any_fingerprint_of_the_strongest_function_may_match() -> None:
    assert certificate_matches([SHA1, OTHER, SHA256], CERTIFICATE)
    assert certificate_matches([SHA1], CERTIFICATE)


def test_a_weaker_function_does_not_save_a_certificate() -> None:
    assert not certificate_matches([SHA1, OTHER], CERTIFICATE)


def test_without_a_known_function_nothing_matches() -> None:
    md5 = Fingerprint("md5", hashlib.md5(CERTIFICATE).digest())
    assert not certificate_matches([md5, Fingerprint("sha9", b"x")], CERTIFICATE)
    assert not certificate_matches([], CERTIFICATE)
