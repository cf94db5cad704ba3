import pytest

from tests.support.ua_api import HELPDESK, KEYS, READER, Key, KeyTable, authenticator
from wigwag.errors import DatabaseError, NotAuthenticatedError
from wigwag.ua.api.authentication import OPERATOR, StoredKey, bearers
from wigwag.ua.ports import Caller


async def test_a_key_of_the_settings_names_application_and_scopes() -> None:
    known = authenticator(*KEYS)
    found = await known.caller([READER])
    assert found == Caller("helpdesk", frozenset({"sessions:read", "messages:read"}))


async def test_without_keys_everybody_is_an_operator_but_a_wrong_key_is_nobody() -> None:
    known = authenticator()
    assert await known.caller([]) == OPERATOR
    with pytest.raises(NotAuthenticatedError):
        await known.caller(["wrong-key-0123456789"])


async def test_with_keys_nobody_gets_in_without_one() -> None:
    with pytest.raises(NotAuthenticatedError, match="Authorization"):
        await authenticator(*KEYS).caller([])


async def test_who_is_asked_for_something_elsewhere_is_no_operator_without_it() -> None:
    with pytest.raises(NotAuthenticatedError):
        await authenticator().caller([], asked=True)


@pytest.mark.parametrize("shown", ["", "x", HELPDESK[:-1], HELPDESK + "x", "\u00e9" * 20, "k" * 100_000])
async def test_a_credential_that_is_not_known_is_refused_without_being_repeated(shown: str) -> None:
    with pytest.raises(NotAuthenticatedError) as caught:
        await authenticator(*KEYS).caller([shown])
    assert not shown or shown not in str(caught.value) or len(shown) < 2


async def test_two_credentials_are_refused() -> None:
    with pytest.raises(NotAuthenticatedError):
        await authenticator(*KEYS).caller([HELPDESK, READER])


async def test_a_key_of_the_database_is_looked_up_once_in_five_seconds() -> None:
    table, now = KeyTable({"wua_" + "k" * 30: Key("sales")}), [0.0]
    known = authenticator(*KEYS, table=table, clock=lambda: now[0])
    for _ in range(3):
        assert (await known.caller(["wua_" + "k" * 30])).application == "sales"
    assert table.asked == 1
    table.keys.clear()
    now[0] = 5.1
    with pytest.raises(NotAuthenticatedError):
        await known.caller(["wua_" + "k" * 30])
    assert table.asked == 2


async def test_many_unknown_keys_take_bounded_memory() -> None:
    known = authenticator(*KEYS, table=KeyTable(), clock=lambda: 0.0)
    for number in range(5_000):
        with pytest.raises(NotAuthenticatedError):
            await known.caller([f"unknown-{number}"])
    assert len(known._found) <= 4_096


async def test_a_database_that_is_away_is_no_wrong_key() -> None:
    async def find(key: str) -> StoredKey | None:
        raise DatabaseError("away")

    table = KeyTable()
    table.find = find  # type: ignore[method-assign]
    with pytest.raises(DatabaseError):
        await authenticator(*KEYS, table=table).caller(["wua_" + "k" * 30])


def test_only_bearer_credentials_are_credentials() -> None:
    assert bearers(["Bearer abc", "bearer  def ", "Basic eHg6eXk="]) == ["abc", "def", ""]
