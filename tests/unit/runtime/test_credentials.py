"""Sources of credentials, one by one and in turn."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.http_server import HttpServer, answer, http_server
from wigwag.errors import ConfigurationError, DatabaseError, WigwagError
from wigwag.protocols.digest import StoredCredentials
from wigwag.runtime.credentials import CredentialSource, FileCredentials, FirstOf, HookCredentials
from wigwag.runtime.http_hook import HookAnswerError, HttpHook

ALICE = StoredCredentials("alice", "example.com", password="secret")


class Broken:
    """A source that cannot tell."""

    async def credentials(self, username: str, domain: str) -> StoredCredentials | None:
        raise DatabaseError("away")


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with http_server() as running:
        yield running


@pytest.fixture
async def source(server: HttpServer) -> AsyncIterator[HookCredentials]:
    async with HttpHook(server.url, timeout=30, cache=0) as hook:
        yield HookCredentials(hook)


@pytest.mark.parametrize(
    ("username", "domain", "found"),
    [
        ("alice", "example.com", ALICE),
        ("alice", "EXAMPLE.com", ALICE),
        ("Alice", "example.com", None),
        ("alice", "example.org", None),
        ("", "", None),
    ],
)
async def test_users_of_the_settings_are_found(username: str, domain: str, found: StoredCredentials | None) -> None:
    assert await FileCredentials([ALICE]).credentials(username, domain) == found


def test_user_who_is_listed_twice_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"alice@Example\.com"):
        FileCredentials([ALICE, StoredCredentials("alice", "Example.com", password="other")])


async def test_first_source_that_knows_the_user_decides() -> None:
    other = StoredCredentials("alice", "example.com", password="other")
    bob = StoredCredentials("bob", "example.com", password="b")
    source: CredentialSource = FirstOf([FileCredentials([ALICE]), FileCredentials([other, bob])])
    assert await source.credentials("alice", "example.com") is ALICE
    assert await source.credentials("bob", "example.com") is bob
    assert await source.credentials("carol", "example.com") is None


async def test_source_that_cannot_tell_ends_the_search_but_not_for_users_known_before() -> None:
    source = FirstOf([FileCredentials([ALICE]), Broken(), FileCredentials([])])
    assert await source.credentials("alice", "example.com") is ALICE
    with pytest.raises(WigwagError):
        await source.credentials("bob", "example.com")


async def test_hook_is_asked_for_the_user(server: HttpServer, source: HookCredentials) -> None:
    server.respond = answer(200, {"password": "secret", "ha1": None, "more": [1]})
    assert await source.credentials("alice", "example.com") == ALICE
    assert server.requests[0][2] == {"username": "alice", "domain": "example.com"}


async def test_hook_may_answer_with_hashes_and_without_the_right(server: HttpServer, source: HookCredentials) -> None:
    server.respond = answer(
        200, {"ha1": "1" * 32, "ha1_sha256": "2" * 64, "ha1_sha512t256": "3" * 64, "may_relay": False}
    )
    assert await source.credentials("alice", "example.com") == StoredCredentials(
        "alice", "example.com", None, "1" * 32, "2" * 64, "3" * 64, may_relay=False
    )


async def test_404_is_an_unknown_user(source: HookCredentials) -> None:
    assert await source.credentials("alice", "example.com") is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"password": ""},
        {"password": 1},
        {"ha1": ["x"]},
        {"password": "x", "ha1": {}},
        {"password": "x", "may_relay": "no"},
        {"password": "x", "may_relay": None},
    ],
)
async def test_answer_of_another_form_is_an_error(
    server: HttpServer, source: HookCredentials, body: dict[str, Any]
) -> None:
    server.respond = answer(200, body)
    with pytest.raises(HookAnswerError):
        await source.credentials("alice", "example.com")
