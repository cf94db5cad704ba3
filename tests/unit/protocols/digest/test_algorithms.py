"""Vectors of RFC 7616 section 3.9 and RFC 2617 section 3.5, and what happens without a hash."""

import hashlib
from typing import Any

import pytest

from wigwag.errors import ConfigurationError
from wigwag.protocols.digest import Algorithm, ha1, response, rspauth

RFC_7616: dict[str, Any] = {
    "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
    "nc": "00000001",
    "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    "qop": "auth",
    "method": "GET",
    "uri": "/dir/index.html",
}


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        (Algorithm.MD5, "8ca523f5e9506fed4657c9700eebdbec"),
        (Algorithm.SHA_256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_response_is_that_of_rfc_7616(algorithm: Algorithm, expected: str) -> None:
    hashed = ha1(algorithm, "Mufasa", "http-auth@example.org", "Circle of Life")
    assert response(algorithm, hashed, **RFC_7616) == expected


def test_sha_512_256_with_a_name_outside_ascii() -> None:
    # RFC 7616 section 3.9.2 as corrected by erratum 4897: the printed response is a truncated SHA-512.
    hashed = ha1(Algorithm.SHA_512_256, "Jäsøn Doe", "api@example.org", "Secret, or not?")
    computed = response(
        Algorithm.SHA_512_256,
        hashed,
        nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
        nc="00000001",
        cnonce="NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
        qop="auth",
        method="GET",
        uri="/doe.json",
    )
    assert computed == "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"


def test_response_is_that_of_rfc_2617() -> None:
    hashed = ha1(Algorithm.MD5, "Mufasa", "testrealm@host.com", "Circle Of Life")
    assert hashed == "939e7578ed9e3c518a452acee763bce9"
    computed = response(
        Algorithm.MD5,
        hashed,
        nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",
        nc="00000001",
        cnonce="0a4f113b",
        qop="auth",
        method="GET",
        uri="/dir/index.html",
    )
    assert computed == "6629fae49393a05397450978507c4ef1"


def test_rspauth_differs_from_the_response_only_by_the_empty_method() -> None:
    values = {name: value for name, value in RFC_7616.items() if name != "method"}
    assert rspauth(Algorithm.MD5, "ab", **values) == response(Algorithm.MD5, "ab", method="", **values)


@pytest.mark.parametrize("algorithm", Algorithm)
def test_response_length_is_that_of_the_digest(algorithm: Algorithm) -> None:
    assert len(algorithm.hexdigest("x")) == algorithm.response_length


def test_algorithms_are_named_in_any_case_and_unknown_ones_are_not() -> None:
    assert Algorithm.named("sha-256") is Algorithm.SHA_256
    assert Algorithm.named("MD5-sess") is None


def test_missing_hash_is_a_configuration_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_sha_512_256(name: str, *_args: Any, **_options: Any) -> None:
        raise ValueError(f"unsupported hash type {name}")

    monkeypatch.setattr(hashlib, "new", without_sha_512_256)
    assert not Algorithm.SHA_512_256.available
    with pytest.raises(ConfigurationError, match="SHA-512-256"):
        Algorithm.SHA_512_256.hexdigest("x")
