"""Why a dialog ended, by its last message."""

import pytest

from wigwag.protocols.sip import Request, Response
from wigwag.ua.endpoint.causes import MEDIA_LOST, status_of_end


def bye(*reasons: str) -> Request:
    return Request.create("BYE", "sip:bob@example.com", [("Reason", reason) for reason in reasons], b"")


@pytest.mark.parametrize(
    ("reasons", "status"),
    [
        (MEDIA_LOST[0][1:], 503),
        (('SIP ;cause=200 ;text="Call completed elsewhere"',), 200),
        (('Q.850;cause=16;text="Terminated"', 'sip; text="x"; Cause = 480'), 480),
        (("Q.850;cause=16",), 0),
        (("SIP;cause=9999",), 0),
        (("SIP",), 0),
        ((), 0),
    ],
)
def test_the_reason_of_a_bye_is_read(reasons: tuple[str, ...], status: int) -> None:
    assert status_of_end(bye(*reasons)) == status


def test_the_status_of_a_response_is_its_own() -> None:
    invite = Request.create("INVITE", "sip:bob@example.com", [], b"")
    assert status_of_end(Response.to_request(invite, 486, "Busy Here")) == 486
    assert status_of_end(None) == 0
