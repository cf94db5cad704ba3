"""What the tree promises and no other tool checks."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripts.generate import specifications

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("libs", "services", "node")
LONGEST_FILE = 600
LONGEST_FUNCTION = 60
LONG_FUNCTIONS = {"services/relay/wigwag/relay/datapath.py:forward"}
"""The fast path is one loop without calls: a call costs it as much as a comparison of headers."""


def python_files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        paths = (ROOT / folder).rglob("*.py")
        yield from (path for path in paths if ".venv" not in path.parts and "_pb2" not in path.name)


def test_no_init_file_hides_the_other_parts_of_the_namespace() -> None:
    stray = [path for folder in SOURCES for path in (ROOT / folder).rglob("wigwag/__init__.py")]
    assert stray == []


def test_every_package_is_seen_by_the_import_contracts() -> None:
    """The checker passes over folders without this file."""
    folders = {path.parent for path in python_files(*SOURCES) if path.parent.name not in ("wigwag", "versions")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_the_import_contracts_hold() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_generated_files_are_what_the_code_says() -> None:
    result = subprocess.run(
        [sys.executable, "scripts/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    paths = python_files(*SOURCES, "tests", "bench", "scripts")
    lengths = {path: len(path.read_text().splitlines()) for path in paths}
    assert {str(path): length for path, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    long = set()
    for path in python_files(*SOURCES):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                length = node.end_lineno - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    long.add(f"{path.relative_to(ROOT)}:{node.name}")
    assert long <= LONG_FUNCTIONS


def test_nothing_but_the_node_reads_the_environment() -> None:
    readers = [
        str(path.relative_to(ROOT))
        for path in python_files("libs", "services")
        if "os.environ" in path.read_text() or "getenv" in path.read_text()
    ]
    assert readers == []


def test_helpers_of_tests_live_in_one_place() -> None:
    stray = [
        str(path.relative_to(ROOT))
        for path in python_files("tests")
        if path.parent != ROOT / "tests" / "support"
        and not path.name.startswith(("test_", "fuzz_"))
        and path.name not in ("__init__.py", "conftest.py")
    ]
    assert stray == []


def test_what_is_declared_to_conform_is_proven_by_a_test_that_exists() -> None:
    missing = {spec.test for spec in specifications() if not (ROOT / spec.test.partition("::")[0]).is_file()}
    assert missing == set()


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/operations.md"])
def test_links_within_the_documents_lead_somewhere(name: str) -> None:
    document = ROOT / name
    targets = [part.partition(")")[0] for part in document.read_text().split("](")[1:]]
    local = [target.partition("#")[0] for target in targets if "://" not in target]
    assert [target for target in local if not (document.parent / target).exists()] == []
