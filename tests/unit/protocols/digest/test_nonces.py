"""Nonces are recognised, expire, belong to one place, and count only once."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wigwag.protocols.digest import NonceIssuer, NonceVerdict, NonceWindow, SigningKey, SigningKeys

NOW = 1_800_000_000.25


def random(size: int) -> bytes:
    return bytes(range(size))


@pytest.fixture
def keys() -> SigningKeys:
    return SigningKeys([SigningKey("a", b"s" * 32)])


@pytest.fixture
def issuer(keys: SigningKeys) -> NonceIssuer:
    return NonceIssuer(keys, lifetime=60)


@pytest.fixture
def nonce(issuer: NonceIssuer) -> str:
    return issuer.issue(realm="example.com", binding=b"7", wall=NOW, random=random)


def check(issuer: NonceIssuer, nonce: str, *, realm: str = "example.com", binding: bytes = b"7", at: float = 0) -> str:
    return issuer.check(nonce, realm=realm, binding=binding, wall=NOW + at).value


@pytest.mark.parametrize(
    ("at", "verdict"), [(0, "valid"), (60, "valid"), (60.1, "stale"), (-30, "valid"), (-30.1, "stale"), (1e9, "stale")]
)
def test_nonce_is_valid_for_its_lifetime_and_a_clock_30_s_ahead(
    issuer: NonceIssuer, nonce: str, at: float, verdict: str
) -> None:
    assert check(issuer, nonce, at=at) == verdict


def test_nonce_of_another_connection_or_realm_is_stale(issuer: NonceIssuer, nonce: str) -> None:
    assert check(issuer, nonce, binding=b"8") == "stale"
    assert check(issuer, nonce, realm="example.org") == "stale"


def test_realm_and_binding_cannot_be_shifted_into_each_other(issuer: NonceIssuer) -> None:
    nonce = issuer.issue(realm="ab", binding=b"c", wall=NOW, random=random)
    assert check(issuer, nonce, realm="a", binding=b"bc") == "stale"


def test_another_process_with_the_same_keys_recognises_the_nonce(nonce: str) -> None:
    other = NonceIssuer(SigningKeys([SigningKey("b", b"t" * 32), SigningKey("a", b"s" * 32)]), lifetime=60)
    assert check(other, nonce) == "valid"


def test_every_changed_character_makes_it_foreign(issuer: NonceIssuer, nonce: str) -> None:
    for index, character in enumerate(nonce):
        changed = nonce[:index] + ("A" if character != "A" else "B") + nonce[index + 1 :]
        assert check(issuer, changed) == "foreign"


@given(st.text() | st.text("abcAB01-_=+/", min_size=49, max_size=49))
def test_any_other_text_is_foreign(text: str) -> None:
    issuer = NonceIssuer(SigningKeys([SigningKey("a", b"s" * 32)]), lifetime=60)
    assert issuer.check(text, realm="r", binding=b"", wall=NOW) is NonceVerdict.FOREIGN


def test_nonce_outlives_a_rotation_until_its_key_is_dropped(issuer: NonceIssuer, keys: SigningKeys, nonce: str) -> None:
    keys.rotate(SigningKey("b", b"t" * 32))
    assert check(issuer, nonce) == "valid"
    assert issuer.issue(realm="r", binding=b"", wall=NOW, random=random).startswith("b")
    keys.rotate(SigningKey("c", b"u" * 32))
    assert check(issuer, nonce) == "foreign"


def test_nonces_differ_by_their_random_part(issuer: NonceIssuer) -> None:
    counter = itertools.count()
    nonces = {
        issuer.issue(realm="r", binding=b"", wall=NOW, random=lambda size: next(counter).to_bytes(size, "big"))
        for _ in range(10)
    }
    assert len(nonces) == 10


def test_count_is_accepted_once() -> None:
    window = NonceWindow()
    assert window.accept(1)
    assert not window.accept(1)
    assert not window.accept(0)
    assert not window.accept(-1)


def test_counts_may_overtake_each_other_by_31() -> None:
    window = NonceWindow()
    assert window.accept(32)
    assert window.accept(1)
    assert window.accept(33)
    assert not window.accept(1)
    assert window.accept(2)


def test_largest_count_is_reached_and_left_behind_in_one_step() -> None:
    window = NonceWindow()
    assert window.accept(1)
    assert window.accept(0xFFFFFFFF)
    assert not window.accept(2)
    assert window.accept(0xFFFFFFFE)


@given(st.lists(st.integers(0, 100)))
def test_window_does_what_a_set_of_all_counts_would(counts: list[int]) -> None:
    window, seen = NonceWindow(), {0}
    for nc in counts:
        expected = nc not in seen and nc > max(seen) - 32
        assert window.accept(nc) is expected
        if expected:
            seen.add(nc)
