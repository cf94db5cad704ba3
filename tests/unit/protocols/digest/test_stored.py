"""Stored credentials yield HA1 only where it is valid."""

import pytest

from wigwag.protocols.digest import Algorithm, StoredCredentials, ha1

HASHED = StoredCredentials(
    "alice",
    "example.com",
    ha1=ha1(Algorithm.MD5, "alice", "example.com", "secret").upper(),
    ha1_sha256=ha1(Algorithm.SHA_256, "alice", "example.com", "secret"),
    ha1_sha512t256=ha1(Algorithm.SHA_512_256, "alice", "example.com", "secret"),
)


@pytest.mark.parametrize("algorithm", Algorithm)
def test_hash_serves_its_own_realm_only(algorithm: Algorithm) -> None:
    assert HASHED.ha1_for(algorithm, "example.com") == ha1(algorithm, "alice", "example.com", "secret")
    assert HASHED.ha1_for(algorithm, "Example.com") is None
    assert HASHED.ha1_for(algorithm, "example.org") is None


@pytest.mark.parametrize("algorithm", Algorithm)
def test_password_serves_any_realm(algorithm: Algorithm) -> None:
    stored = StoredCredentials("alice", "example.com", password="secret")
    assert stored.ha1_for(algorithm, "other") == ha1(algorithm, "alice", "other", "secret")


@pytest.mark.parametrize("column", [None, "", " ", "0" * 31, "g" * 32, "0" * 64])
def test_empty_or_unfit_hash_is_none(column: str | None) -> None:
    stored = StoredCredentials("alice", "example.com", password="", ha1=column)
    assert stored.ha1_for(Algorithm.MD5, "example.com") is None


def test_secrets_never_show() -> None:
    shown = repr(StoredCredentials("alice", "example.com", password="secret", ha1="cafe"))
    assert "secret" not in shown
    assert "cafe" not in shown
