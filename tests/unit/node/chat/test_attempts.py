"""What follows from the end of a session."""

from typing import cast

import pytest

from wigwag.node.chat.attempts import Next, after, reason_of
from wigwag.ua.endpoint.model import Cause, Ended, EndpointSession


def ended(cause: Cause, status: int = 0, reason: str = "") -> Ended:
    return Ended(session=cast(EndpointSession, None), cause=cause, status=status, reason=reason)


@pytest.mark.parametrize(
    ("cause", "status", "follows"),
    [
        (Cause.NO_COMMON_TYPE, 488, Next.PAGER),
        (Cause.REFUSED, 405, Next.PAGER),
        (Cause.NOT_FOUND, 480, Next.PAGER),
        (Cause.NOT_FOUND, 404, Next.REFUSED),
        (Cause.BUSY, 486, Next.REFUSED),
        (Cause.BUSY, 600, Next.REFUSED),
        (Cause.DECLINED, 603, Next.REFUSED),
        (Cause.REFUSED, 491, Next.WAIT),
        (Cause.REFUSED, 503, Next.UNREACHED),
        (Cause.TIMEOUT, 408, Next.UNREACHED),
        (Cause.MEDIA_FAILED, 0, Next.UNREACHED),
    ],
)
def test_a_call_that_comes_to_nothing_says_how_to_go_on(cause: Cause, status: int, follows: Next) -> None:
    assert after(ended(cause, status), was_open=False) is follows


@pytest.mark.parametrize(
    ("cause", "status", "follows"),
    [
        (Cause.ENDED_BY_PEER, 0, Next.LEAVE),
        (Cause.ENDED_BY_PEER, 200, Next.LEAVE),
        (Cause.ENDED_BY_PEER, 503, Next.CALL_AGAIN),
        (Cause.PEER_LOST, 481, Next.CALL_AGAIN),
        (Cause.MEDIA_FAILED, 0, Next.CALL_AGAIN),
    ],
)
def test_a_chat_that_nobody_ended_is_got_back(cause: Cause, status: int, follows: Next) -> None:
    assert after(ended(cause, status), was_open=True) is follows


def test_reasons_are_said_in_words() -> None:
    assert reason_of(ended(Cause.NOT_FOUND, 480)) == "is not there"
    assert reason_of(ended(Cause.BUSY, 486, "Busy Here")) == "is busy (486 Busy Here)"
    assert reason_of(ended(Cause.MEDIA_FAILED, 0, "no relay")) == "is not reached: no relay"
