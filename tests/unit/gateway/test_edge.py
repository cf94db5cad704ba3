"""What the gateway makes of anything can be sent: the edge writes it, and ua takes it into a session."""

from hypothesis import given
from hypothesis import strategies as st

from tests.support.gateway_content import ALICE, BOB, IMDN_REQUEST, NOW, cpim, page_message, settings, status_or
from wigwag.api.events.v1.pager_pb2 import PagerHeader, PagerRequest
from wigwag.database.ledger import State
from wigwag.gateway.content import Accepts, to_page, to_session
from wigwag.gateway.kinds import read
from wigwag.gateway.notices import left_notice, notice_of
from wigwag.gateway.splitting import overhead_of, parts_of
from wigwag.gateway.wrapping import Headers
from wigwag.protocols.sip import Request
from wigwag.relay.sip.pager.requests import Outbound, sip_request
from wigwag.ua.messages.checking import is_content_type

TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('\r\n\t\x00"\\<>;,'), max_size=300)
HEADS = st.builds(
    "".join,
    st.lists(
        st.builds("Subject: {}\r\n".format, TEXT)
        | st.sampled_from(["DateTime: 2026-11-26T13:00:00+01:00\r\n", "cc: <sip:carol@example.com>\r\n"]),
        max_size=3,
    ),
)
BODIES = st.binary(max_size=100) | st.builds(lambda body, head: cpim(body, head=head), st.binary(max_size=2_000), HEADS)
TYPES = st.sampled_from(["message/cpim", "text/plain", 'text/plain;charset="UTF-8"', "image/png"]) | TEXT


def written(
    message_id: str, content_type: str, body: bytes, headers: Headers, *, sender: str = BOB, recipient: str = ALICE
) -> Request:
    """Return the MESSAGE as the edge writes and reads it."""
    asked = PagerRequest(
        message_id=message_id,
        attempt=1,
        from_uri=sender,
        to_uri=recipient,
        content_type=content_type,
        body=body,
        headers=[PagerHeader(name=name, value=value) for name, value in headers],
    )
    outbound = Outbound(request=asked, conversation="c", published=0.0, expires=86_400.0)
    return sip_request(outbound, "SIP/2.0/UDP edge.example.com:5060")


@given(body=BODIES, content_type=TYPES, accepts_cpim=st.booleans())
def test_the_edge_writes_every_message_to_the_page_mode_side(
    body: bytes, content_type: str, accepts_cpim: bool
) -> None:
    limits = settings(large="split", limits={"page_bytes": 1_300})
    content = status_or(
        lambda: to_page(read(content_type, body), page=ALICE, session=BOB, settings=limits, cpim=accepts_cpim)
    )
    if isinstance(content, int):
        return
    overhead = overhead_of(ALICE, BOB, content)
    parts = status_or(lambda: parts_of(content, "u1-0", limits, overhead=overhead))
    for part in [] if isinstance(parts, int) else parts:
        request = written(part.message_id, part.content.content_type, part.content.body, part.content.headers)
        assert request.body == part.content.body
        assert request.get("content-type") == part.content.content_type
        # What the edge adds at most, and what may go over UDP.
        assert len(bytes(request)) + 300 <= 1_300


@given(
    body=BODIES | st.builds(IMDN_REQUEST.replace, st.sampled_from([b"34jk324j", b"World"]), st.binary(max_size=50)),
    content_type=TYPES,
    state=st.sampled_from(State),
    call_id=TEXT,
)
def test_the_edge_writes_every_notice(body: bytes, content_type: str, state: State, call_id: str) -> None:
    message = page_message(body, content_type, call_id=call_id)
    notice = notice_of(message, state, row_id="pager-1", settings=settings(), now=NOW)
    for each in (notice, left_notice("k", 1, page=ALICE, session=BOB)):
        if each is not None:
            request = written(each.message_id, each.content_type, each.body, each.headers)
            assert request.get("auto-submitted")


@given(body=BODIES, content_type=TYPES, subject=TEXT, wrapped=st.booleans())
def test_ua_takes_every_message_to_the_session_mode_side(
    body: bytes, content_type: str, subject: str, wrapped: bool
) -> None:
    peer = Accepts(("message/cpim",), ("*",)) if wrapped else Accepts(("*",))
    content = status_or(lambda: to_session(page_message(body, content_type, Subject=subject), peer, settings()))
    if not isinstance(content, int):
        assert is_content_type(content.content_type)
        assert content.body
