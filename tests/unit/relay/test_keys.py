"""The file of signing keys."""

from pathlib import Path

import pytest

from wigwag.errors import ConfigurationError
from wigwag.protocols.digest import SigningKey
from wigwag.relay.config import RelaySettings
from wigwag.relay.keys import DatedKey, KeyFile, in_order, key_file, rotated

A = DatedKey(SigningKey("A", b"a" * 32))
B = DatedKey(SigningKey("B", b"b" * 32), 1000.0)


def random(octets: int) -> bytes:
    return b"r" * octets


def test_a_key_signs_only_when_its_time_has_come() -> None:
    assert in_order([B, A], 999.0)[0].id == "A"
    assert in_order([B, A], 1000.0)[0].id == "B"


def test_all_keys_verify_before_and_after() -> None:
    assert {key.id for key in in_order([B, A], 999.0)} == {"A", "B"}


def test_a_rotated_key_has_a_new_id_and_the_old_one_stays_while_something_it_signed_is_valid() -> None:
    changed = rotated([A], b"n" * 32, signs_from=500.0, lifetime=3600.0)
    assert [(dated.key.id, dated.signs_from) for dated in changed] == [("B", 500.0), ("A", 0.0)]


def test_a_key_that_signed_nothing_valid_any_more_is_dropped() -> None:
    newest = DatedKey(SigningKey("C", b"c" * 32), 9000.0)
    changed = rotated([newest, B, A], b"n" * 32, signs_from=9100.0, lifetime=3600.0)
    assert [dated.key.id for dated in changed] == ["D", "C", "B"]


def test_the_file_is_taken_over_when_it_changes(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys")
    keys = file.load_or_make(random, 0.0)
    assert list(keys.ids) == ["A"]
    KeyFile(tmp_path / "keys").write([B, *file.read()])
    assert file.refresh(keys, 999.0)
    assert list(keys.ids) == ["A", "B"]
    assert file.refresh(keys, 1000.0)
    assert list(keys.ids) == ["B", "A"]
    assert not file.refresh(keys, 1001.0)


def test_a_broken_file_leaves_the_keys_in_use_and_names_itself(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys")
    keys = file.load_or_make(random, 0.0)
    file.path.write_text("A:zz\n")
    with pytest.raises(ConfigurationError, match=str(file.path)):
        file.refresh(keys, 1.0)
    assert keys.ids == ("A",)


@pytest.mark.parametrize("line", ["A:zz", "A", "A:" + "00" * 32 + ":soon", "AB:" + "00" * 32])
def test_a_line_that_is_no_key_is_refused(line: str) -> None:
    with pytest.raises(ConfigurationError):
        DatedKey.parse(line)


def test_a_line_survives_being_written_and_read() -> None:
    assert DatedKey.parse(B.line()) == B
    assert DatedKey.parse(A.line()) == A


def test_a_file_that_is_named_but_not_there_is_no_reason_to_make_one(tmp_path: Path) -> None:
    file = key_file(RelaySettings(signing_keys_file=str(tmp_path / "keys")), tmp_path)
    with pytest.raises(ConfigurationError, match=r"relay\.signing_keys_file: .*/keys does not exist"):
        file.load(0.0)
    assert not file.path.exists()


def test_without_a_name_the_file_is_in_the_data_directory(tmp_path: Path) -> None:
    assert key_file(RelaySettings(), tmp_path).path == tmp_path / "signing-keys"
