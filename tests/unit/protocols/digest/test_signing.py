"""Signing keys: what they accept, and that they never show."""

import pytest

from wigwag.errors import ConfigurationError
from wigwag.protocols.digest import SigningKey, SigningKeys

A, B, C = (SigningKey(name, name.encode() * 32) for name in "ABC")


def test_newest_signs_and_old_ones_verify() -> None:
    old = SigningKeys([A]).sign(b"p", b"data")
    keys = SigningKeys([B, A])
    assert keys.sign(b"p", b"data")[0] == "B"
    assert keys.verify(*("A", b"p", b"data", old[1]))


def test_mac_is_bound_to_key_purpose_and_data() -> None:
    keys = SigningKeys([A, B])
    _, mac = keys.sign(b"p", b"data")
    assert not keys.verify("B", b"p", b"data", mac)
    assert not keys.verify("Z", b"p", b"data", mac)
    assert not keys.verify("A", b"q", b"data", mac)
    assert not keys.verify("A", b"pd", b"ata", mac)
    assert not keys.verify("A", b"p", b"date", mac)


def test_mac_may_be_cut_to_eight_bytes_and_no_further() -> None:
    keys = SigningKeys([A])
    _, mac = keys.sign(b"p", b"data")
    assert len(mac) == 32
    assert keys.verify("A", b"p", b"data", mac[:8])
    assert not keys.verify("A", b"p", b"data", mac[:7])
    assert not keys.verify("A", b"p", b"data", b"")
    assert not keys.verify("A", b"p", b"data", mac + b"x")


def test_rotation_keeps_so_many_old_keys() -> None:
    keys = SigningKeys([B, A])
    keys.rotate(C, keep=1)
    assert keys.ids == ("C", "B")


def test_rotation_to_an_id_in_use_changes_nothing() -> None:
    keys = SigningKeys([B, A])
    with pytest.raises(ConfigurationError):
        keys.rotate(SigningKey("B", b"x" * 32))
    assert keys.ids == ("B", "A")


def test_keys_are_replaced_by_those_of_a_file_read_again() -> None:
    keys = SigningKeys([A])
    keys.replace([C, B])
    assert keys.ids == ("C", "B")


@pytest.mark.parametrize(("key_id", "secret"), [("", b"s" * 32), ("ab", b"s" * 32), ("+", b"s" * 32), ("a", b"s" * 31)])
def test_unfit_key_is_refused(key_id: str, secret: bytes) -> None:
    with pytest.raises(ConfigurationError):
        SigningKey(key_id, secret)


@pytest.mark.parametrize("keys", [[], [A, SigningKey("A", b"x" * 32)]])
def test_unfit_set_of_keys_is_refused(keys: list[SigningKey]) -> None:
    with pytest.raises(ConfigurationError):
        SigningKeys(keys)


def test_key_is_read_from_its_line() -> None:
    assert SigningKey.parse(A.line() + "\n") == A


@pytest.mark.parametrize("line", ["", "A", "A:", "A:zz", "A:zz" + "41" * 32, "AB:" + "41" * 32, ":" + "41" * 32])
def test_broken_line_is_refused_without_showing_it(line: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SigningKey.parse(line)
    assert "4141" not in str(caught.value)


def test_secret_never_shows() -> None:
    assert "AAAA" not in repr(A)
    assert "AAAA" not in repr(SigningKeys([A]))
