from dataclasses import replace

import pytest

from tests.support.fake_relay import SESSION
from wigwag.errors import InvalidRequestError
from wigwag.relay.selection import Found, SessionFilter, page_of

FOUND = Found([replace(SESSION, id=f"0{number}") for number in (4, 1, 3, 0, 2)], replace)


def test_pages_are_in_the_order_of_ids_and_add_up() -> None:
    first, more = page_of(FOUND, after="", size=3)
    assert ([view.id for view in first], more) == (["00", "01", "02"], True)
    rest, more = page_of(FOUND, after="02", size=3)
    assert ([view.id for view in rest], more) == (["03", "04"], False)


def test_a_page_that_is_just_full_is_the_last() -> None:
    assert page_of(FOUND, after="", size=5)[1] is False


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        (SessionFilter(user="alice"), True),
        (SessionFilter(user="alice@example.com"), True),
        (SessionFilter(user="alice@example.org"), False),
        (SessionFilter(user="example.com"), False),
        (SessionFilter(realm="example.com"), True),
        (SessionFilter(realm="example.org"), False),
        (SessionFilter(state="active"), True),
        (SessionFilter(state="suspended"), False),
        (SessionFilter(user="alice", realm="example.com", state="active"), True),
        (SessionFilter(user="bob", realm="example.com", state="active"), False),
    ],
)
def test_all_filters_have_to_match(wanted: SessionFilter, matches: bool) -> None:
    assert wanted.matches(SESSION.user, SESSION.realm, SESSION.state) is matches


def test_a_page_token_says_where_to_go_on() -> None:
    wanted = SessionFilter(user="alice")
    assert wanted.after(wanted.page_token("0a")) == "0a"
    assert wanted.after("") == ""


@pytest.mark.parametrize("token", ["0a", ".0a", SessionFilter(user="bob").page_token("0a"), "\x00"])
def test_a_page_token_of_other_filters_is_refused(token: str) -> None:
    with pytest.raises(InvalidRequestError, match="page_token"):
        SessionFilter(user="alice").after(token)
