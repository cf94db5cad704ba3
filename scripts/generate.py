"""Writes the files, or marked parts of files, that are generated from the code.

``--check`` writes nothing and ends with status 1 when a file would change.
"""

import argparse
import ast
import importlib
import inspect
import itertools
import pkgutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import wigwag
from wigwag.api.ua.v1.session_pb2 import EndCause
from wigwag.database.ledger.states import picture
from wigwag.gateway import statuses
from wigwag.node.layers import dotted, variable
from wigwag.node.settings import Settings
from wigwag.node.settings_model import element_section, section_of, show
from wigwag.protocols.sip.dialogs import offers_picture, session_picture
from wigwag.protocols.sip.transactions import MACHINES
from wigwag.protocols.sip.transactions import picture as machine_picture
from wigwag.protocols.specification import Spec
from wigwag.runtime.names import ATTRIBUTES, LOG_FIELDS, METRICS, SPANS
from wigwag.runtime.settings import Section, secret_kind

ROOT = Path(__file__).resolve().parent.parent


def settings_tables() -> str:
    """Return a table of settings for each section."""
    return "\n".join(_section_tables(Settings, ()))


def _section_tables(model: type[Section], path: tuple[str | int, ...]) -> Iterator[str]:
    notes = field_notes(model)
    rows, inner = [], []
    for name, field in model.model_fields.items():
        here = (*path, name)
        section, element = section_of(field.annotation), element_section(field.annotation)
        if section is not None:
            inner.append((section, here))
            continue
        if element is not None:
            inner.append((element, (*here, 0)))
        default = "**required**" if field.is_required() else _code(show(field.default, secret_kind(field)))
        file = f" (or `{name}_file`)" if secret_kind(field) else ""
        note = notes.get(name, "A list; see below." if element is not None else "")
        rows.append(f"| `{name}`{file} | {_type(field.annotation)} | {default} | {_cell(note)} |")
    if rows:
        yield _heading(model, path)
        yield "| setting | type | default | meaning |\n|---|---|---|---|"
        yield "\n".join(rows) + "\n"
    for section, where in inner:
        yield from _section_tables(section, where)


def _heading(model: type[Section], path: tuple[str | int, ...]) -> str:
    if not path:
        return "### Top level\n"
    title = dotted(path).replace("[0]", "[]")
    environment = f"`{variable(path)}` (JSON list)" if 0 in path else f"`{variable(path)}__<NAME>`"
    summary = (inspect.getdoc(model) or "").splitlines()[0]
    return f"### `{title}`\n\n{summary} Environment: {environment}.\n"


def field_notes(model: type[Section]) -> dict[str, str]:
    """Return the strings that stand below the fields of a class, by field."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    notes = {}
    for field, below in itertools.pairwise(body):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            notes[field.target.id] = inspect.cleandoc(str(below.value.value))
    return notes


def _type(annotation: Any) -> str:
    """Return a type in words."""
    origin, members = get_origin(annotation), [item for item in get_args(annotation) if item is not type(None)]
    if origin is Annotated:
        return _type(members[0])
    if origin in (Union, UnionType):
        return " or ".join(map(_type, members))
    if origin is Literal:
        return ", ".join(f"`{member}`" for member in members)
    if origin is dict:
        return f"{_type(members[0])} to {_type(members[1])}"
    if origin is tuple and members[-1] is Ellipsis:
        return f"list of {_type(members[0])}"
    if origin is tuple:
        return f"[{', '.join(map(_type, members))}]"
    words = {str: "text", int: "integer", float: "number", bool: "true, false", Path: "path"}
    return words.get(annotation, "tables")


def _code(text: str) -> str:
    return f"`{text}`" if text else "none"


def _cell(text: str) -> str:
    return " ".join(text.replace("``", "`").replace("|", "\\|").split())


def metrics_table() -> str:
    """Return a table of all metrics, with the names that Prometheus shows."""
    lines = ["| metric | unit | Prometheus | kind | attributes | meaning |", "|---|---|---|---|---|---|"]
    for metric in METRICS:
        cells = [f"`{metric.name}`", f"`{metric.unit}`", f"`{metric.prometheus}`", metric.instrument.name.lower()]
        cells += [", ".join(map(_code, metric.attributes)), _cell(metric.description)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def spans_table() -> str:
    """Return a table of all spans, and one of their attributes."""
    lines = ["| span | kind | attributes | meaning |", "|---|---|---|---|"]
    for span in SPANS:
        attributes = ", ".join(map(_code, span.attributes))
        lines.append(f"| `{span.name}` | {span.kind.name.lower()} | {attributes} | {_cell(span.description)} |")
    lines += ["", "| attribute | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {_cell(meaning)} |" for name, meaning in ATTRIBUTES.items()]
    return "\n".join(lines) + "\n"


def log_fields_table() -> str:
    """Return a table of the fields of log lines."""
    lines = ["| field | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {_cell(meaning)} |" for name, meaning in sorted(LOG_FIELDS.items())]
    return "\n".join(lines) + "\n"


def specifications() -> list[Spec]:
    """Return what all packages declare to conform to."""
    found = {}
    for module in pkgutil.walk_packages(wigwag.__path__, "wigwag."):
        if not module.ispkg:
            continue
        for spec in getattr(importlib.import_module(module.name), "SPECIFICATIONS", ()):
            found[(spec.document, spec.section, spec.title)] = spec
    return sorted(found.values(), key=lambda spec: (spec.document, _numbers(spec.section), spec.title))


def _numbers(section: str) -> list[int]:
    return [int(part) if part.isdigit() else 0 for part in section.split(".")]


def conformance() -> str:
    """Return docs/conformance.md."""
    lines = [
        "# Conformance",
        "",
        "Written by `scripts/generate.py` from the `SPECIFICATIONS` of the packages; do not edit.",
    ]
    document = ""
    for spec in specifications():
        if spec.document != document:
            document = spec.document
            lines += ["", f"## {document}", "", "| section | what | proven by |", "|---|---|---|"]
        lines.append(f"| {spec.section} | {_cell(spec.title)} | [`{spec.test}`](../{spec.test}) |")
    return "\n".join(lines) + "\n"


def ledger_states() -> str:
    """Return the picture of a message's states."""
    return f"```mermaid\n{picture()}\n```"


def sip_transactions() -> str:
    """Return docs/sip-transactions.md."""
    lines = [
        "# SIP transactions",
        "",
        "Written by `scripts/generate.py` from the tables of `wigwag.protocols.sip.transactions.machines`, which are",
        "what runs; do not edit. An arrow bears its event and what is done; what has no arrow changes nothing. Over",
        "TCP, TLS and WebSocket Timers D, I, J and K are 0, and A, E and G never run (RFC 3261 table 4).",
    ]
    for name in MACHINES:
        lines += ["", f"## {name[0].upper()}{name[1:]}", "", "```mermaid", machine_picture(name), "```"]
    return "\n".join(lines) + "\n"


def sip_dialogs() -> str:
    """Return docs/sip-dialogs.md."""
    lines = [
        "# SIP dialogs",
        "",
        "Written by `scripts/generate.py` from the tables of `wigwag.protocols.sip.dialogs.machines`, which are what",
        "runs; do not edit.",
        "",
        "## Session",
        "",
        "An arrow bears its event and what is done; what has no arrow changes nothing.",
        "",
        *("```mermaid", session_picture(), "```"),
        "",
        "## Offer and answer",
        "",
        "What has no arrow is against the rules: it is an error of ours, or the peer's is refused (491, 500).",
        "",
        *("```mermaid", offers_picture(), "```"),
    ]
    return "\n".join(lines) + "\n"


def gateway_states() -> str:
    """Return a table of what the sides of the gateway are told of final states."""
    rows = ["| state | REPORT | MESSAGE that waits for delivery | delivery notification |", "|---|---|---|---|"]
    for meaning in statuses.STATES:
        report = str(meaning.msrp) if meaning.msrp else "by SIP status, below"
        answer = f"{meaning.sip} {meaning.reason}" if meaning.sip else "by MSRP status or end of the session, below"
        rows.append(f"| {meaning.state.value} | {report} | {answer} | `{meaning.imdn.value}` |")
    return "\n".join(rows) + "\n"


def gateway_sip() -> str:
    """Return a table of what SIP statuses mean to the session-mode side."""
    rows = ["| SIP status | REPORT | in a sentence | of an INVITE: `gateway.setup` |", "|---|---|---|---|"]
    for meaning in (*statuses.SIP, statuses.OTHER_SIP):
        numbers = ", ".join(map(str, meaning.statuses)) or "any other; none: nothing was sent"
        rows.append(f"| {numbers} | {meaning.msrp} | {meaning.words} | `{meaning.setup}` |")
    return "\n".join(rows) + "\n"


def gateway_msrp() -> str:
    """Return a table of what MSRP statuses mean to the page-mode side."""
    rows = ["| response or REPORT | SIP status |", "|---|---|"]
    rows += [f"| {status} | {answer.status} {answer.reason} |" for status, answer in statuses.MSRP.items()]
    rows.append(f"| any other | {statuses.OTHER_MSRP.status} {statuses.OTHER_MSRP.reason} |")
    rows.append(f"| none: nothing was sent | {statuses.NEVER_SENT.status} {statuses.NEVER_SENT.reason} |")
    return "\n".join(rows) + "\n"


def gateway_ends() -> str:
    """Return a table of what the end of a session means to messages that were not sent."""
    rows = ["| the session ended | SIP status | `gateway.setup` |", "|---|---|---|"]
    for meaning in statuses.ENDS:
        cause = EndCause.Name(meaning.cause).removeprefix("END_CAUSE_").lower().replace("_", " ")
        rows.append(f"| {cause} | {meaning.status} {meaning.reason} | `{meaning.setup}` |")
    told = ", ".join(f"{told} for {status}" for status, told in statuses.UNTOLD.items())
    rows.append(f"| by a SIP status of 400 to 699 | that one; {told} | by that status, above; 487: as the row says |")
    return "\n".join(rows) + "\n"


def part(name: str, content: Callable[[], str]) -> Callable[[str], str]:
    """Return a function that renews what stands between a file's markers of this name."""
    begin, end = f"<!-- generated: {name} -->\n", f"<!-- end of {name} -->"

    def renewed(old: str) -> str:
        before, found, rest = old.partition(begin)
        _, also_found, after = rest.partition(end)
        if not (found and also_found):
            raise SystemExit(f"the markers of {name!r} are missing")
        return f"{before}{begin}\n{content()}\n{end}{after}"

    return renewed


GENERATED: dict[str, list[Callable[[str], str]]] = {
    "docs/conformance.md": [lambda old: conformance()],
    "docs/decisions/ledger.md": [part("states", ledger_states)],
    "docs/gateway.md": [
        part("states of messages", gateway_states),
        part("SIP statuses", gateway_sip),
        part("MSRP statuses", gateway_msrp),
        part("ends of sessions", gateway_ends),
    ],
    "docs/sip-transactions.md": [lambda old: sip_transactions()],
    "docs/sip-dialogs.md": [lambda old: sip_dialogs()],
    "docs/operations.md": [
        part("settings", settings_tables),
        part("metrics", metrics_table),
        part("spans", spans_table),
        part("log fields", log_fields_table),
    ],
}
"""File -> what makes its new text from its old one, in order."""


def main() -> int:
    """Write, or check, all generated files; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a file would change")
    check = parser.parse_args().check
    stale = []
    for name, steps in GENERATED.items():
        path = ROOT / name
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        new = old
        for step in steps:
            new = step(new)
        if new == old:
            continue
        stale.append(name)
        if not check:
            path.write_text(new, encoding="utf-8")
    for name in stale:
        print(f"{name} {'is stale: run make format' if check else 'written'}")
    contracts = [sys.executable, str(ROOT / "scripts" / "contracts.py"), *(["--check"] if check else [])]
    failed = subprocess.run(contracts, check=False).returncode
    return 1 if failed or (check and stale) else 0


if __name__ == "__main__":
    sys.exit(main())
