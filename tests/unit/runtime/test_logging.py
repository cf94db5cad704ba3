import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from tests.support.logs import reset_logs
from wigwag.runtime.logging import HIDDEN, LONGEST_TEXT, configure, escaped


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    logging.captureWarnings(capture=False)
    reset_logs()


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_peer_cannot_forge_a_line(style: str) -> None:
    stream = io.StringIO()
    configure(style=style, stream=stream)  # type: ignore[arg-type]
    hostile = "x\r\n2026 [info] forged\x1b[2J\u2028\u202eabc\x85"
    structlog.get_logger("a").info(hostile, reason=hostile, list=[hostile])
    logging.getLogger("b").warning("said %s", hostile)
    shown = stream.getvalue()
    assert len(shown.splitlines()) == 2
    assert not set("\x1b\u2028\u202e\x85\r") & set(shown)


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_peer_cannot_forge_a_line_by_an_exception(style: str) -> None:
    stream = io.StringIO()
    configure(style=style, stream=stream)  # type: ignore[arg-type]
    try:
        raise ValueError("x\nforged\x1b[2J")
    except ValueError:
        structlog.get_logger("a").exception("broken")
    lines = stream.getvalue().splitlines()
    assert not [line for line in lines if line.startswith("forged")]
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize(
    "key", ["Authorization", "password", "ha1", "ha1_sha256", "nonce", "cnonce", "body", "token", "WWW-Secret"]
)
def test_a_credential_is_hidden_at_any_depth(key: str) -> None:
    stream = io.StringIO()
    configure(style="json", stream=stream)
    structlog.get_logger("a").info("event", **{key: "hush"}, headers={key: "hush", "other": 1})
    assert "hush" not in stream.getvalue()
    assert json.loads(stream.getvalue())["headers"] == {key: HIDDEN, "other": 1}


def test_octets_are_shown_by_their_number_only() -> None:
    stream = io.StringIO()
    configure(style="json", stream=stream)
    structlog.get_logger("a").info("event", data=b"private text", more=bytearray(3))
    found = json.loads(stream.getvalue())
    assert (found["data"], found["more"]) == ("[12 bytes]", "[3 bytes]")


def test_lines_below_the_level_are_left_out() -> None:
    stream = io.StringIO()
    configure(level="warning", stream=stream)
    structlog.get_logger("a").info("quiet")
    logging.getLogger("b").info("quiet")
    assert stream.getvalue() == ""


def test_a_stream_that_is_no_terminal_gets_json() -> None:
    stream = io.StringIO()
    configure(stream=stream)
    structlog.get_logger("a").info("event", remote="127.0.0.1")
    found = json.loads(stream.getvalue())
    assert (found["event"], found["level"], found["logger"], found["remote"]) == ("event", "info", "a", "127.0.0.1")


def test_a_long_text_is_cut() -> None:
    assert len(escaped("x" * 1_000_000)) < LONGEST_TEXT + 50


def test_printable_text_of_any_script_stays() -> None:
    assert escaped("Grüße, 世界 🙂") == "Grüße, 世界 🙂"
