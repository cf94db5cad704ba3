"""What programs compile is kept for the next one, outside the sources."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.bytecode import kept_bytecode


def compiled(module: str, folder: Path) -> list[Path]:
    """Let a program import a module of a folder; returns what it left compiled, wherever it was told to."""
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True, cwd=folder)
    return list(Path(os.environ["PYTHONPYCACHEPREFIX"]).rglob(f"{module}.*.pyc"))


@pytest.mark.parametrize("elsewhere", [None, "/nowhere"])
def test_what_a_program_compiles_is_there_until_the_end_and_not_beside_its_source(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, elsewhere: str | None
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    if elsewhere:
        monkeypatch.setenv("PYTHONPYCACHEPREFIX", elsewhere)
    before = dict(os.environ)
    (tmp_path / "compiled_once.py").touch()
    with kept_bytecode():
        (kept,) = compiled("compiled_once", tmp_path)
    assert not kept.exists()
    assert not list(tmp_path.rglob("*.pyc"))
    assert dict(os.environ) == before


def test_what_is_kept_anyway_is_kept_where_it_always_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    before = dict(os.environ)
    with kept_bytecode():
        assert dict(os.environ) == before
