"""Applications that are built in: nobody else has their names, and only the edge leads calls to them."""

from typing import Any

import pytest

from tests.support.ua_api import authenticator
from wigwag.database.applications import RESERVED
from wigwag.errors import InvalidRequestError, NotAuthenticatedError
from wigwag.runtime.agents import APPLICATION, GATEWAY
from wigwag.ua.applications.builtin import gateway_application
from wigwag.ua.applications.registry import Applications
from wigwag.ua.config import ApplicationSettings, UaSettings
from wigwag.ua.ports import Caller
from wigwag.ua.sessions.starting import wish_for

HELPDESK = ApplicationSettings(name="helpdesk", uris=("sip:helpdesk@example.com",))
MADE = gateway_application(idle_timeout=7_200.0, max_duration=43_200.0, message_bytes=65_536)


def registry(*builtin: ApplicationSettings) -> Applications:
    async def load() -> list[ApplicationSettings]:
        return []

    return Applications([HELPDESK], load, builtin)


def test_the_same_names_are_reserved_everywhere() -> None:
    assert frozenset((GATEWAY,)) == RESERVED
    assert MADE.name == GATEWAY


@pytest.mark.parametrize(
    "settings",
    [
        {"applications": [{"name": GATEWAY}]},
        {"api": {"keys": [{"application": GATEWAY, "key": "0123456789abcdef"}]}},
        {"applications": [{"name": "a", "calls_as_anyone": True}]},
    ],
)
def test_settings_can_not_make_one(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"gateway|calls_as_anyone"):
        UaSettings(**settings)


async def test_a_credential_that_names_one_is_worth_nothing() -> None:
    class Tokens:
        async def caller(self, token: str) -> Caller:
            return Caller(GATEWAY, frozenset(("messages:write",)))

    judge = authenticator()
    judge._tokens = Tokens()
    with pytest.raises(NotAuthenticatedError):
        await judge.caller(["a.b.c"])


def test_it_calls_as_anybody_and_others_as_themselves_only() -> None:
    known = registry(MADE)
    assert known.caller_uri(MADE, "sip:anybody@elsewhere.example") == "sip:anybody@elsewhere.example"
    with pytest.raises(InvalidRequestError):
        known.caller_uri(MADE, "")
    with pytest.raises(InvalidRequestError):
        known.caller_uri(HELPDESK, "sip:anybody@elsewhere.example")


def test_a_call_that_the_edge_leads_to_it_is_its_whoever_is_called() -> None:
    known = registry(MADE)
    for uri in ("sip:bob@example.com", "sip:helpdesk@example.com"):
        found = known.called(uri, [("subject", "x"), (APPLICATION.lower(), f" {GATEWAY} ")])
        assert found is MADE
    assert known.called("sip:helpdesk@example.com", [("subject", "x")]) is HELPDESK
    assert known.called("sip:bob@example.com") is None


@pytest.mark.parametrize("named", [("helpdesk",), ("",), (GATEWAY, GATEWAY), ("nobody",)])
def test_what_is_not_built_in_can_not_be_named(named: tuple[str, ...]) -> None:
    assert registry(MADE).called("sip:helpdesk@example.com", [(APPLICATION, name) for name in named]) is None


def test_without_it_nobody_takes_its_calls() -> None:
    assert registry().called("sip:bob@example.com", [(APPLICATION, GATEWAY)]) is None


def test_its_peers_are_told_what_it_takes() -> None:
    wish = wish_for(MADE, UaSettings())
    assert (wish.max_size, wish.accept_types, wish.automatic_reports) == (65_536, ("*",), False)
    assert wish_for(HELPDESK, UaSettings()).max_size == 10_485_760
