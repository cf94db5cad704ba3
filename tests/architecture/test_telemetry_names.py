"""Metrics, spans, attributes and log fields are declared in one place, and what is declared is used."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.test_tree import ROOT, SOURCES, python_files
from wigwag.runtime import names
from wigwag.runtime.instruments import Metric, SpanName
from wigwag.runtime.names import ATTRIBUTES, LOG_FIELDS, METRICS, SPANS
from wigwag.runtime.telemetry import Telemetry

DECLARATIONS = ROOT / "libs/wigwag/runtime/names.py"
LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log", "log_event"}
ARGUMENTS_OF_LOGGING = {"exc_info", "stack_info", "extra", "stacklevel"}


def calls(path: Path) -> Iterator[ast.Call]:
    yield from (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))


def test_nothing_is_declared_elsewhere() -> None:
    strays = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in python_files(*SOURCES)
        if path != DECLARATIONS
        for call in calls(path)
        if isinstance(call.func, ast.Name) and call.func.id in ("Metric", "SpanName", "Attribute")
    ]
    assert strays == []


def test_every_declaration_is_in_the_lists() -> None:
    single = {value for value in vars(names).values() if isinstance(value, Metric | SpanName)}
    grouped = {item for value in vars(names).values() if isinstance(value, tuple) for item in value}
    assert single | grouped <= {*METRICS, *SPANS}
    assert {attribute for span in SPANS for attribute in span.attributes} == set(ATTRIBUTES)


@pytest.mark.parametrize("declared", [METRICS, SPANS])
def test_a_name_is_declared_once(declared: tuple[Metric | SpanName, ...]) -> None:
    assert [name for name, count in Counter(item.name for item in declared).items() if count > 1] == []


def test_every_declared_metric_is_read_somewhere() -> None:
    used = {
        word
        for path in python_files(*SOURCES)
        if path != DECLARATIONS
        for word in re.findall(r"\b[A-Z][A-Z_]+\b", path.read_text())
    }
    declared = {
        name
        for name, value in vars(names).items()
        if isinstance(value, Metric) or (isinstance(value, tuple) and value and isinstance(value[0], Metric))
    }
    assert declared - {"METRICS"} - used == set()


def test_prometheus_shows_the_names_that_the_documents_tell() -> None:
    telemetry = Telemetry("1")
    telemetry.register(lambda: [metric.read(1, **dict.fromkeys(metric.attributes, "x")) for metric in METRICS])
    lines = telemetry.prometheus()[0].decode().splitlines()
    telemetry.close()
    shown = {line.partition("{")[0] for line in lines if line.startswith("wigwag_")}
    assert shown == {metric.prometheus for metric in METRICS}


def test_every_field_of_a_log_line_is_declared() -> None:
    undeclared = set()
    for path in python_files(*SOURCES):
        for call in calls(path):
            if not isinstance(call.func, ast.Attribute) or call.func.attr not in LOG_METHODS:
                continue
            fields = {keyword.arg for keyword in call.keywords if keyword.arg} - ARGUMENTS_OF_LOGGING
            undeclared |= {f"{path.relative_to(ROOT)}: {field}" for field in fields - LOG_FIELDS.keys()}
    assert undeclared == set()
