"""Nonces name who issued them, and no count of one is accepted twice, however much is forgotten."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wigwag.errors import LocalProtocolError
from wigwag.protocols.digest import NonceIssuer, NonceVerdict, NonceWindows, SigningKey, SigningKeys, issuer_of

NOW = 1_800_000_000.0
LIFETIME = 60.0


@pytest.fixture
def issuer() -> NonceIssuer:
    return NonceIssuer(SigningKeys([SigningKey("a", b"s" * 32)]), LIFETIME)


_numbers = itertools.count()


def issue(issuer: NonceIssuer, wall: float = NOW, name: str = "pod-1") -> str:
    return issuer.issue(
        realm="r", binding=b"", wall=wall, random=lambda size: next(_numbers).to_bytes(size, "big"), issuer=name
    )


def test_any_process_learns_from_a_nonce_who_issued_it(issuer: NonceIssuer) -> None:
    nonce = issue(issuer)
    assert issuer_of(nonce) == "pod-1"
    assert issuer.check(nonce, realm="r", binding=b"", wall=NOW) is NonceVerdict.VALID


@pytest.mark.parametrize("name", ["pod-2", "", "pod-1.pod-1", "pod 1"])
def test_nonce_with_another_name_is_not_valid(issuer: NonceIssuer, name: str) -> None:
    bare = issue(issuer).partition(".")[2]
    changed = f"{name}.{bare}" if name else bare
    assert issuer.check(changed, realm="r", binding=b"", wall=NOW) is not NonceVerdict.VALID


def test_name_and_binding_cannot_be_shifted_into_each_other(issuer: NonceIssuer) -> None:
    bare = issue(issuer, name="pod").partition(".")[2]
    for binding in (b"pod", b"\x03pod", b"pod."):
        assert issuer.check(bare, realm="r", binding=binding, wall=NOW) is NonceVerdict.STALE


@pytest.mark.parametrize("name", ["a.b", "x" * 33, "ä", 'a"'])
def test_name_that_a_nonce_cannot_carry_is_a_local_error(issuer: NonceIssuer, name: str) -> None:
    with pytest.raises(LocalProtocolError):
        issue(issuer, name=name)


@pytest.mark.parametrize("text", ["", ".", "a b.c", "x" * 33 + ".y", "plain"])
def test_text_without_a_name_names_nobody(text: str) -> None:
    assert issuer_of(text) == ""


def test_count_is_accepted_once_for_each_nonce(issuer: NonceIssuer) -> None:
    windows = NonceWindows(LIFETIME)
    one, other = issue(issuer), issue(issuer)
    assert windows.accept(one, 1, NOW)
    assert not windows.accept(one, 1, NOW)
    assert windows.accept(one, 2, NOW)
    assert windows.accept(other, 1, NOW)


def test_first_count_of_zero_is_not_accepted(issuer: NonceIssuer) -> None:
    assert not NonceWindows(LIFETIME).accept(issue(issuer), 0, NOW)


def test_challenges_cost_no_memory_and_used_nonces_no_more_than_allowed(issuer: NonceIssuer) -> None:
    windows = NonceWindows(LIFETIME, largest=10)
    for number in range(100):
        nonce = issue(issuer, NOW + number / 10)
        issue(issuer, NOW + number / 10)
        assert windows.accept(nonce, 1, NOW + number / 10)
        assert len(windows) <= 10


def test_forgotten_nonce_is_not_accepted_again(issuer: NonceIssuer) -> None:
    windows = NonceWindows(LIFETIME, largest=2)
    first = issue(issuer)
    assert windows.accept(first, 1, NOW)
    assert windows.accept(issue(issuer, NOW + 1), 1, NOW + 1)
    assert windows.accept(issue(issuer, NOW + 2), 1, NOW + 2)
    assert not windows.accept(first, 1, NOW + 2)
    assert not windows.accept(first, 2, NOW + 2)


def test_expired_nonces_make_room_for_new_ones(issuer: NonceIssuer) -> None:
    windows = NonceWindows(LIFETIME, largest=100)
    for _ in range(50):
        windows.accept(issue(issuer), 1, NOW)
    later = NOW + LIFETIME + 1
    assert windows.accept(issue(issuer, later), 1, later)
    assert len(windows) == 1


@given(st.text())
def test_text_that_is_no_nonce_is_never_accepted(text: str) -> None:
    assert not NonceWindows(LIFETIME).accept(text, 1, NOW)


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(1, 3), st.floats(0, 90)), max_size=60), st.integers(1, 4))
def test_no_pair_of_nonce_and_count_is_ever_accepted_twice(uses: list[tuple[int, int, float]], largest: int) -> None:
    issuer = NonceIssuer(SigningKeys([SigningKey("a", b"s" * 32)]), LIFETIME)
    nonces = [issue(issuer, NOW + number) for number in range(9)]
    windows, accepted = NonceWindows(LIFETIME, largest), set[tuple[int, int]]()
    for number, nc, at in uses:
        if windows.accept(nonces[number], nc, NOW + at):
            assert (number, nc) not in accepted
            accepted.add((number, nc))
        assert len(windows) <= largest
