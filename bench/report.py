"""The figures: a table on the terminal, ``results/relay.json``, and the table in ``RESULTS.md``."""

import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.rounds import Result

RESULTS = Path(__file__).parent / "results" / "relay.json"
EXPLANATION = Path(__file__).with_name("RESULTS.md")
_BEGIN, _END = "<!-- figures: written by python -m bench.relay -->", "<!-- end of figures -->"
_COLUMNS = ("row", "unit", "ours", "Kamailio", "ratio", "quartiles", "throughput", "p50 / p99, ms", "target", "met")


def print_table(results: Sequence[Result], console: Console) -> None:
    """Print all rows."""
    table = Table(title="MSRP relay: ours beside Kamailio, one CPU each")
    for column in _COLUMNS:
        table.add_column(column, justify="left" if column in ("row", "unit", "target") else "right")
    for result in results:
        table.add_row(*_cells(result))
    console.print(table)


def write(results: Sequence[Result]) -> None:
    """Put the rows into the JSON file, in place of those of the same name, and all of them into RESULTS.md."""
    known: list[Result] = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    newer = {result["name"]: result for result in results}
    rows = [newer.pop(row["name"], row) for row in known] + list(newer.values())
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n")
    text = EXPLANATION.read_text()
    before, after = text.split(_BEGIN)[0], text.split(_END)[1]
    EXPLANATION.write_text(f"{before}{_BEGIN}\n{_markdown(rows)}\n{_END}{after}")


def _markdown(rows: Sequence[Result]) -> str:
    lines = [f"Measured on {machine()}.", "", _line(_COLUMNS), _line(["---"] * len(_COLUMNS))]
    lines += [_line(_cells(row)) for row in rows]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes(rows))])


def notes(results: Sequence[Result]) -> list[str]:
    """Say of each row what Kamailio failed in."""
    texts = []
    for result in results:
        failures = result.get("peer_failures", [])
        assert isinstance(failures, list)
        if result["peer_refusal"]:
            texts.append(f"{result['name']}: Kamailio can't: {result['peer_refusal']}")
        elif failures:
            what = ", ".join(sorted(set(failures)))
            texts.append(f"{result['name']}: Kamailio spoiled {len(failures)} rounds, which were repeated: {what}")
    return texts


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(result: Result) -> list[str]:
    side = "kib" if result["kind"] == "idle" else "us"
    targets = result["targets"]
    assert isinstance(targets, list)
    return [
        str(result["name"]),
        str(result["unit"]),
        figure(result.get(f"ours_{side}")),
        "refused" if result["peer_refusal"] else figure(result.get(f"peer_{side}")),
        figure(result["ratio"]),
        span(result["ratio_quartiles"]),
        _throughput(result),
        f"{_sides(result, 'p50_us', 1e-3)} / {_sides(result, 'p99_us', 1e-3)}" if "ours_p50_us" in result else "",
        "; ".join(str(target["text"]) for target in targets),
        "; ".join("yes" if target["met"] else "NO" for target in targets),
    ]


def _throughput(result: Result) -> str:
    match result["kind"]:
        case "load":
            return _sides(result, "messages_per_second", 1) + " msg/s"
        case "setup":
            return _sides(result, "sessions_per_second", 1) + " sessions/s"
        case "stream":
            growth = figure(result["ours_rss_growth_kib_worst"])
            return f"{_sides(result, 'mib_per_second', 1)} MiB/s, +{growth} KiB"
        case _:
            return ""


def _sides(result: Mapping[str, object], member: str, scale: float) -> str:
    """Both relays' figures, ours first; ours alone when there is no other."""
    values = [result.get(f"{side}_{member}") for side in ("ours", "peer")]
    return " : ".join(figure(value * scale) for value in values if isinstance(value, int | float))


def figure(value: object) -> str:
    """Return a number as a table shows it."""
    if not isinstance(value, int | float):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def span(value: object) -> str:
    """Return the quartiles as a table shows them."""
    return f"{value[0]:.3g}–{value[1]:.3g}" if isinstance(value, list) else "–"


def machine() -> str:
    """Say what figures were measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")
    kamailio = subprocess.run(["kamailio", "-v"], capture_output=True, text=True, check=True).stdout.split("\n")[0]
    cpus = sum(line.startswith("processor") for line in lines)
    python = platform.python_version()
    return (
        f"{cpus} × {model}, Linux {platform.release().split('-')[0]}, Python {python}, Kamailio {kamailio.split()[2]}"
    )
