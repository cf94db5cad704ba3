"""What the tables of applications and their API keys have to do on every database."""

from collections.abc import AsyncIterator
from dataclasses import fields, replace

import pytest

from tests.support.sql import execute
from wigwag.database import ApplicationRow, Applications, Database
from wigwag.database.applications import SHOWN
from wigwag.errors import ConflictError, NotFoundError
from wigwag.ua.config import ApplicationSettings

NOW = 1_800_000_000.25
FULL = ApplicationRow(
    name="help.desk-1",
    uris=("sip:help*@example.com", "tel:+4930123"),
    answer="automatic",
    answer_timeout=7.5,
    fallback="answer",
    reject_status=603,
    accept_types=("text/plain", "text/*"),
    accept_wrapped_types=(),
    greeting="Grüß Gott \U0001f44b\nWhat can I do for you?",
    idle_timeout=60.0,
    max_duration=0.0,
    message_expires=30.0,
    outcome_timeout=5.0,
    content="as_is",
    reports="application",
    way="direct",
    webhook_url="https://example.com/hook?x=1",
    webhook_secret="s3cret",
)


@pytest.fixture
async def applications(url: str) -> AsyncIterator[Applications]:
    async with Database(url) as database:
        yield Applications(database)


def test_rows_and_settings_have_the_same_fields_and_defaults() -> None:
    names = [known.name for known in fields(ApplicationRow)]
    assert names == list(ApplicationSettings.model_fields)
    plain = ApplicationSettings(name="a")
    assert ApplicationSettings(**ApplicationRow(name="a").settings()) == plain
    settings = ApplicationSettings(**FULL.settings())
    assert {name: getattr(settings, name) for name in names} == {name: getattr(FULL, name) for name in names}


def test_secret_of_a_webhook_is_not_shown() -> None:
    assert "s3cret" not in repr(FULL)


async def test_applications_are_kept_as_they_were_put_and_listed_by_name(applications: Applications) -> None:
    plain = ApplicationRow(name="a")
    assert await applications.put(FULL)
    assert await applications.put(plain)
    assert await applications.list() == [plain, FULL]
    assert await applications.get(FULL.name) == FULL
    newer = replace(FULL, greeting="", webhook_secret=None, accept_types=None)
    assert not await applications.put(newer)
    assert not await applications.put(newer)
    assert await applications.get(FULL.name) == newer


async def test_row_that_an_operator_inserts_has_the_defaults_of_the_settings(
    applications: Applications, url: str
) -> None:
    await execute(url, "INSERT INTO wigwag_application (name, uris) VALUES ('desk', 'sip:a@b  sip:c@d')")
    assert await applications.list() == [ApplicationRow(name="desk", uris=("sip:a@b", "sip:c@d"))]


async def test_application_goes_with_its_keys(applications: Applications) -> None:
    await applications.put(FULL)
    await applications.put(ApplicationRow(name="other"))
    _, key = await applications.create_key(FULL.name, ["sessions:read"], now=NOW)
    _, others = await applications.create_key("other", [], now=NOW)
    await applications.delete(FULL.name)
    assert await applications.find_key(key) is None
    assert await applications.find_key(others) is not None
    for name in (FULL.name, "", "\x00"):
        with pytest.raises(NotFoundError):
            await applications.delete(name)
        with pytest.raises(NotFoundError):
            await applications.get(name)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "x" * 64},
        {"name": "a\nb"},
        {"uris": ("sip:a@b sip:c@d",)},
        {"uris": ("",)},
        {"uris": tuple(f"sip:{number}@example.com" for number in range(500))},
        {"greeting": "x" * 1025},
        {"greeting": "\x00"},
        {"webhook_secret": "x" * 256},
    ],
)
async def test_value_that_does_not_fit_is_refused(applications: Applications, wrong: dict[str, object]) -> None:
    with pytest.raises(ConflictError):
        await applications.put(replace(FULL, **wrong))  # type: ignore[arg-type]
    assert await applications.list() == []


# Keys


async def test_key_is_shown_once_and_known_by_its_hash(applications: Applications, url: str) -> None:
    row, key = await applications.create_key(
        "desk", ["messages:write", "sessions:read"], now=NOW, comment="Alice's bot"
    )
    assert key.startswith(row.prefix)
    assert len(key) > 40
    assert len(row.prefix) == SHOWN
    assert await applications.find_key(key) == row
    assert (row.application, row.scopes, row.created, row.comment) == (
        "desk",
        ("messages:write", "sessions:read"),
        NOW,
        "Alice's bot",
    )
    kept = await execute(url, "SELECT * FROM wigwag_api_key")
    assert key not in str(kept)
    assert await applications.find_key(key + "x") is None
    assert await applications.find_key("\udcff\x00") is None


async def test_keys_are_listed_and_revoked_one_by_one(applications: Applications) -> None:
    made = [await applications.create_key("desk", [], now=NOW + number) for number in range(3)]
    assert await applications.keys("desk") == [row for row, _ in made]
    assert await applications.keys("other") == await applications.keys("\x00") == []
    row, key = made[1]
    await applications.revoke_key(row.id)
    assert await applications.find_key(key) is None
    assert await applications.keys("desk") == [made[0][0], made[2][0]]
    with pytest.raises(NotFoundError):
        await applications.revoke_key(row.id)


async def test_key_that_does_not_fit_is_refused(applications: Applications) -> None:
    for wrong in ({"application": ""}, {"application": "x" * 64}, {"comment": "x" * 256}, {"comment": "\x00"}):
        with pytest.raises(ConflictError):
            await applications.create_key(**{"application": "desk", "scopes": [], "now": NOW, **wrong})  # type: ignore[arg-type]
