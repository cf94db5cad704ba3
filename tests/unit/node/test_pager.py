"""What ``wigwag send`` and ``wigwag receive`` say, and what they refuse before anything is sent."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from wigwag.errors import ConfigurationError
from wigwag.node.cli import app
from wigwag.node.cli_sip import LARGEST_TEXT
from wigwag.node.pager import Receiving, Report, message_as_json, readable_message
from wigwag.node.sip_account import SipAccount
from wigwag.protocols.sip.user_agent import MessageReceived

WRAPPED = (
    "From: <sip:bob@example.com>\r\nTo: <sip:alice@example.com>\r\n\r\n"
    "Content-Type: text/plain;charset=UTF-8\r\n\r\ngrüße"
).encode()


def message(body: bytes = b"hello", content_type: str = "text/plain", name: str = "") -> MessageReceived:
    return MessageReceived(
        from_uri="sip:bob@example.com",
        display_name=name,
        to_uri="sip:alice@example.com",
        content_type=content_type,
        body=body,
        call_id="c",
        expired=False,
    )


@pytest.mark.parametrize(
    ("received", "shown"),
    [
        (message(), "sip:bob@example.com: hello"),
        (message(name="Bob"), "Bob <sip:bob@example.com>: hello"),
        (message("grüße".encode(), "Text/Plain;charset=UTF-8"), "sip:bob@example.com: grüße"),
        (message(b"\xff"), "sip:bob@example.com: \N{REPLACEMENT CHARACTER}"),
        (message(b"abc", "image/png"), "sip:bob@example.com: [image/png, 3 octets]"),
        (message(b"", ""), "sip:bob@example.com: "),
        (message(WRAPPED, "message/cpim"), "sip:bob@example.com: grüße"),
        (message(b"abc", "message/cpim"), "sip:bob@example.com: [message/cpim, 3 octets]"),
    ],
)
def test_message_is_shown_as_text_or_as_what_it_is_instead(received: MessageReceived, shown: str) -> None:
    assert readable_message(received) == shown


async def shown(*received: MessageReceived, count: int | None = None) -> list[bytes]:
    """Return the bodies of what is shown of some messages."""
    seen: list[bytes] = []
    receiving = Receiving(
        account("sip:alice@example.com"),
        show=lambda each: seen.append(each.body),
        changed=lambda _: None,
        count=count,
        timeout=None,
    )
    for each in received:
        receiving._take(each)
    return seen


async def test_only_messages_are_shown_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIGWAG_PASSWORD", "secret")
    typing = message(b"typing", "application/im-iscomposing+xml; charset=utf-8")
    late = replace(message(b"late"), expired=True)
    assert await shown(typing, late, message(b"one"), message(b"two")) == [b"one", b"two"]
    assert await shown(typing, late, message(b"one"), message(b"two"), count=1) == [b"one"]


def test_json_is_one_line_and_carries_any_octets() -> None:
    line = message_as_json(message(b"one\ntwo"))
    assert "\n" not in line
    assert json.loads(line)["text"] == "one\ntwo"
    assert json.loads(message_as_json(message(b"\xff\x00")))["base64"] == "/wA="


@pytest.mark.parametrize(
    ("delivery", "status", "reason", "text"),
    [
        ("delivered", 200, "OK", "delivered: 200 OK"),
        ("accepted", 202, "Accepted", "accepted: 202 Accepted"),
        ("refused", 404, "Not Found", "refused: 404 Not Found"),
        ("refused", 401, "Unauthorized", "refused: 401 Unauthorized (wrong user name or password?)"),
        ("unknown", None, "40 seconds are over", "no answer: 40 seconds are over"),
    ],
)
def test_report_says_it_in_words(delivery: str, status: int | None, reason: str, text: str) -> None:
    report = Report(delivery=delivery, status=status, reason=reason, exit_status=0)
    assert report.text == text
    assert report.members() == {"delivery": delivery, "status": status, "reason": reason}


def invoke(*arguments: str, text: str | bytes = "", password: str | None = "secret") -> Result:
    environment = {"WIGWAG_PASSWORD": password, "WIGWAG_CONFIG": None}
    return CliRunner().invoke(app, arguments, input=text, env=environment)


ALICE = ("--as", "sip:alice@example.com", "--to", "sip:bob@example.com")


@pytest.mark.parametrize(
    "arguments",
    [
        ("send", "hello"),
        ("send", "--as", "alice", "--to", "sip:bob@example.com", "hello"),
        ("send", "--as", "sip:example.com", "--to", "sip:bob@example.com", "hello"),
        ("send", *ALICE, "--server", "nowhere:", "hello"),
        ("send", *ALICE, "--file", "/does/not/exist"),
        ("send", *ALICE, "--password-file", "/does/not/exist", "hello"),
        ("send", *ALICE, "--timeout", "0", "hello"),
        ("receive",),
        ("receive", "--as", "alice"),
        ("receive", "--as", "sip:alice@example.com", "--count", "0"),
    ],
)
def test_wrong_usage_exits_with_2(arguments: tuple[str, ...]) -> None:
    assert invoke(*arguments).exit_code == 2


def test_text_and_file_together_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text("hello")
    result = invoke("send", *ALICE, "--file", str(file), "hello")
    assert (result.exit_code, "only one can be sent" in result.output) == (2, True)


@pytest.mark.parametrize("arguments", [(), ("",), ("-",), ("--file", os.devnull)])
def test_an_empty_message_is_not_sent(arguments: tuple[str, ...]) -> None:
    result = invoke("send", *ALICE, *arguments, text=b"")
    assert (result.exit_code, "there is nothing to send" in result.output) == (2, True)


def test_text_without_end_is_refused_before_it_is_read_to_the_end() -> None:
    result = invoke("send", *ALICE, "-", text=b"x" * (LARGEST_TEXT + 2))
    assert (result.exit_code, f"at most {LARGEST_TEXT} octets" in result.output.replace("\n", " ")) == (2, True)


def test_missing_password_is_asked_for_only_at_a_terminal() -> None:
    result = invoke("send", *ALICE, "hello", password=None)
    assert (result.exit_code, "no password" in result.output) == (2, True)


def account(aor: str, **options: str | None) -> SipAccount:
    arguments = {"server": None, "username": None, "device": "", **options}
    return SipAccount.of(aor, password_file=None, ca_file=None, config=None, **arguments)  # type: ignore[arg-type]


def test_server_is_the_domains_unless_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIGWAG_PASSWORD", "secret")
    own = account("sips:alice@example.com:5081").server
    assert (own.transport, own.host, own.port, own.secure) == (None, "example.com", 5081, True)
    assert account("sip:alice@example.com", server="tcp:sip.example.com").server.host == "sip.example.com"


def test_user_name_is_the_addresss_unless_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIGWAG_PASSWORD", "secret")
    assert account("sip:alice@example.com").username == "alice"
    assert account("sip:alice@example.com", username="al").username == "al"


def test_device_is_the_same_after_every_start_and_differs_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIGWAG_PASSWORD", "secret")
    names = [account("sip:alice@example.com", device=device).identity.instance for device in ("cli", "cli", "desk")]
    assert names[0] == names[1] != names[2]
    assert names[0].startswith("urn:uuid:")


def test_password_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIGWAG_PASSWORD", "very-secret")
    assert "very-secret" not in repr(account("sip:alice@example.com"))


def test_address_that_is_none_names_the_option() -> None:
    with pytest.raises(ConfigurationError, match="--as"):
        account("bob")
