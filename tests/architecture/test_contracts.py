"""What holds of the contracts in proto/; their lint and freshness are checked with the other generated files."""

from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from scripts import contracts

from wigwag.api.events.v1 import envelope_pb2
from wigwag.api.relay.v1 import relay_pb2


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of proto/ that may be changed."""
    proto = tmp_path / "proto"
    for source in contracts.PROTO.rglob("*"):
        if source.is_file():
            target = proto / source.relative_to(contracts.PROTO)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    monkeypatch.setattr(contracts, "PROTO", proto)
    monkeypatch.setattr(contracts, "BASELINE", proto / "baseline.binpb")
    return proto / "wigwag" / "api" / "relay" / "v1" / "relay.proto"


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_contracts_are_in_order() -> None:
    assert contracts.lint() + contracts.breaking() == ""
    assert contracts.stale() == []


def test_a_field_that_changes_its_type_is_a_breaking_change(copy: Path) -> None:
    replace(copy, "int32 page_size", "string page_size")
    assert "page_size" in contracts.breaking()


def test_a_field_that_is_added_breaks_nothing_but_makes_the_generated_code_stale(copy: Path) -> None:
    replace(copy, "string page_token = 5;", "string page_token = 5;\n  string listener = 6;")
    assert contracts.breaking() == ""
    stale = {path.name for path in contracts.stale()}
    assert stale == {"relay_pb2.py", "relay_pb2.pyi"}


def test_an_accepted_change_is_the_new_baseline(copy: Path) -> None:
    replace(copy, "int32 page_size", "string page_size")
    contracts.accept()
    assert contracts.breaking() == ""


def test_a_name_that_is_not_in_style_is_found(copy: Path) -> None:
    replace(copy, "int32 page_size", "int32 pageSize")
    assert "pageSize" in contracts.lint()


def test_the_baseline_holds_every_package() -> None:
    packages = {file.package for file in FileDescriptorSet.FromString(contracts.BASELINE.read_bytes()).file}
    ours = {module.DESCRIPTOR.package for module in (relay_pb2, envelope_pb2)}
    assert ours <= packages
