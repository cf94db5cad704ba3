"""``wigwag applications``: applications and keys in the database, without a node."""

from pathlib import Path

import pytest

from tests.support.node import json_of, wigwag


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "WIGWAG_NODE__DATA_DIR": str(tmp_path),
        "WIGWAG_UA__APPLICATIONS": '[{"name": "fixed", "uris": ["sip:fixed@example.com"], "webhook_secret": "'
        + "s" * 20
        + '"}]',
    }


def test_an_application_is_added_changed_shown_and_removed(environment: dict[str, str]) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        done = wigwag("applications", *arguments, environment=environment)
        return done.returncode, (done.stdout + done.stderr).strip()

    assert run("add", "bot", "--uri", "sip:bot@example.com") == (0, "added bot")
    assert run("add", "bot", "--uri", "sip:bot@example.com", "--answer", "automatic") == (0, "changed bot")
    rows = json_of(wigwag("applications", "list", "--json", environment=environment))
    assert [(row["name"], row["answer"], row["source"]) for row in rows] == [
        ("fixed", "ask", "settings"),
        ("bot", "automatic", "database"),
    ]
    assert "s" * 20 not in run("list", "--json")[1] + run("show", "fixed")[1]
    assert run("add", "bot", "--uri", "sip:bot@example.com", "--answer", "perhaps")[0] == 1
    status, text = run("add", "fixed", "--uri", "sip:x@example.com")
    assert (status, "stands in the settings" in text) == (1, True)
    assert run("remove", "bot") == (0, "removed bot")
    assert run("show", "bot") == (1, "there is no application bot")


def test_what_is_not_given_stays_and_every_policy_can_be_given(environment: dict[str, str], tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("w" * 20 + "\n")
    first = (
        "--uri", "sip:bot@example.com", "--greeting", "hello", "--webhook-url", "https://example.com/hook",
        "--webhook-secret-file", str(secret), "--set", "idle_timeout=60", "--set", "accept_types=text/plain text/html",
        "--set", "reject_status=486",
    )  # fmt: skip
    assert wigwag("applications", "add", "bot", *first, environment=environment).returncode == 0
    changed = wigwag("applications", "add", "bot", "--answer", "reject", environment=environment)
    assert changed.stdout.strip() == "changed bot"
    shown = json_of(wigwag("applications", "show", "bot", "--json", environment=environment))
    assert (shown["answer"], shown["greeting"], shown["idle_timeout"]) == ("reject", "hello", 60)
    assert (shown["accept_types"], shown["reject_status"]) == (["text/plain", "text/html"], 486)
    assert "webhook_secret" not in shown


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "bot is new: --uri is needed"),
        (("--uri", "bot"), "uris: "),
        (("--uri", "sip:b@example.com", "--webhook-url", "https://example.com/"), "--webhook-secret-file is needed"),
        (("--uri", "sip:b@example.com", "--set", "idle_timeout=-1"), "idle_timeout: "),
        (("--uri", "sip:b@example.com", "--way", "river"), "way: 'river' is none of relay, direct"),
        (("--uri", "sip:b@example.com", "--set", "color=red"), "NAME is one of answer_timeout"),
    ],
)
def test_what_no_pod_could_use_is_not_written(
    environment: dict[str, str], arguments: tuple[str, ...], reason: str
) -> None:
    done = wigwag("applications", "add", "bot", *arguments, environment=environment)
    assert done.returncode != 0
    assert reason in done.stderr
    rows = json_of(wigwag("applications", "list", "--json", environment=environment))
    assert [row["name"] for row in rows] == ["fixed"]


def test_a_key_is_shown_once_and_can_be_revoked(environment: dict[str, str]) -> None:
    made = json_of(
        wigwag("applications", "keys", "create", "fixed", "--scope", "messages:read", "--json", environment=environment)
    )
    listed = wigwag("applications", "keys", "list", "fixed", "--json", environment=environment)
    (row,) = json_of(listed)
    assert made["key"].startswith(row["prefix"])
    assert made["key"] not in listed.stdout
    assert row["scopes"] == ["messages:read"]
    revoke = ("applications", "keys", "revoke", str(row["id"]))
    assert wigwag(*revoke, environment=environment).returncode == 0
    assert wigwag(*revoke, environment=environment).returncode == 1
    assert wigwag("applications", "keys", "create", "nobody", environment=environment).returncode == 1
    assert wigwag("applications", "keys", "create", "fixed", "--scope", "all", environment=environment).returncode == 2
