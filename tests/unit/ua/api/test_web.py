import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from structlog.testing import capture_logs

from tests.support.fake_agent import FakeAgent
from tests.support.ua_api import HELPDESK, KEYS, READER, SALES, web_client
from wigwag.api.ua.v1 import message_pb2, session_pb2
from wigwag.errors import (
    BusError,
    ConflictError,
    DatabaseError,
    InvalidRequestError,
    NotAuthorizedError,
    NotFoundError,
    OutOfRangeError,
    OverloadedError,
    StoreError,
)
from wigwag.ua.config import UaLimits

START = {"to_uri": "sip:bob@example.com"}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Return status and kind of an error, which has to be a problem of RFC 9457."""
    assert answer.headers["content-type"] == "application/problem+json"
    content = answer.json()
    assert content["status"] == answer.status_code
    assert content["title"]
    assert content["detail"]
    return answer.status_code, content["type"].removeprefix("/v1/problems/")


@pytest.mark.parametrize(
    ("path", "content", "field", "detail"),
    [
        ("/v1/sessions", b"{", "body", "no JSON: Expecting property name enclosed in double quotes"),
        ("/v1/sessions", b"[]", "body", "a JSON object is needed"),
        ("/v1/sessions", b"{}", "to_uri", "missing"),
        ("/v1/sessions", b'{"to_uri": "sip:a@b", "to": "x"}', "to", "there is no such field"),
        ("/v1/sessions", b'{"to_uri": "\\ud800"}', "to_uri", "holds half a surrogate pair, which is no character"),
        ("MESSAGES", b'{"text": ""}', "text", "empty"),
        ("MESSAGES", b'{"base64": ""}', "base64", "empty"),
        ("MESSAGES", b'{"text": "x", "expires_at": "2030-01-01T00:00:00"}', "expires_at", "has no time zone"),
        ("/v1/files/fetch", b'{"to_uri": "sip:a@b", "sha256": "zz"}', "sha256", "does not have the form"),
    ],
)
async def test_what_is_wrong_is_said_in_the_words_of_who_asked(
    path: str, content: bytes, field: str, detail: str
) -> None:
    agent = FakeAgent()
    messages = f"/v1/sessions/{agent.open('helpdesk').session_id}/messages"
    async with web_client(agent, *KEYS, token=HELPDESK) as client:
        headers = {"Content-Type": "application/json"}
        answer = await client.post(path.replace("MESSAGES", messages), content=content, headers=headers)
    assert problem(answer) == (422, "invalid-request")
    (error,) = answer.json()["errors"]
    assert (error["field"], error["detail"][: len(detail)]) == (field, detail)


async def test_where_there_is_nothing_is_said_so() -> None:
    async with web_client(FakeAgent(), *KEYS, token=HELPDESK) as client:
        nowhere, wrong = await client.get("/v1/nothing"), await client.patch("/v1/sessions")
        state = await client.get("/v1/sessions?state=closed")
    assert nowhere.json()["detail"] == "there is nothing at /v1/nothing; /v1/openapi.json lists what there is"
    assert wrong.json()["detail"] == "PATCH does nothing at /v1/sessions; /v1/openapi.json lists what there is"
    assert state.json()["errors"] == [{"field": "state", "detail": "one of starting, offered, open, ended"}]


async def test_a_message_says_which_reports_are_told() -> None:
    agent = FakeAgent()
    path = f"/v1/sessions/{agent.open('helpdesk').session_id}/messages"
    async with web_client(agent, *KEYS, token=HELPDESK) as client:
        for reports, told in (
            ({"success": True, "failure": "partial"}, {"success": True, "failure": "partial"}),
            ({}, {"success": False, "failure": "yes"}),
            (None, None),
        ):
            sent = await client.post(path, json={"text": "hello", "reports": reports})
            shown = await client.get(sent.headers["location"])
            assert shown.json()["message"]["reports"] == told
        refused = await client.post(path, json={"text": "hello", "reports": {"failure": "maybe"}})
    assert problem(refused) == (422, "invalid-request")
    assert refused.json()["errors"][0]["field"] == "reports.failure"


# Who calls


async def test_a_key_names_the_application() -> None:
    agent = FakeAgent()
    async with web_client(agent, *KEYS, token=HELPDESK) as client:
        answer = await client.post("/v1/sessions", json=START)
    session = answer.json()
    assert (answer.status_code, session["application"], session["state"]) == (201, "helpdesk", "starting")
    assert answer.headers["location"] == f"/v1/sessions/{session['session_id']}"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer("wrong-key-0123456789"),
        {"Authorization": "Basic aGVscGRlc2s6eA=="},
        {"Authorization": HELPDESK},
        {"Authorization": "Bearer"},
    ],
)
async def test_who_shows_nothing_that_is_known_is_refused(headers: dict[str, str]) -> None:
    agent = FakeAgent()
    async with web_client(agent, *KEYS) as client:
        answer = await client.get("/v1/sessions", headers=headers)
    assert problem(answer) == (401, "not-authenticated")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert not agent.callers


async def test_what_a_key_may_not_do_is_forbidden_and_what_is_anothers_is_not_there() -> None:
    agent = FakeAgent()
    session = agent.open("helpdesk")
    path = f"/v1/sessions/{session.session_id}"
    async with web_client(agent, *KEYS) as client:
        assert (await client.get(path, headers=bearer(READER))).status_code == 200
        assert problem(await client.delete(path, headers=bearer(READER))) == (403, "not-authorized")
        assert problem(await client.get(path, headers=bearer(SALES))) == (404, "not-found")


async def test_without_keys_everybody_on_this_machine_is_an_operator_but_no_web_page() -> None:
    agent = FakeAgent()
    async with web_client(agent) as client:
        assert (await client.get("/v1/sessions")).status_code == 200
        rebound = await client.get("/v1/sessions", headers={"Host": "evil.example"})
        foreign = await client.post("/v1/sessions", json=START, headers={"Origin": "https://evil.example"})
        own = await client.get("/v1/sessions", headers={"Origin": str(client.base_url).rstrip("/")})
    assert problem(rebound) == (421, "misdirected")
    assert foreign.status_code == 403
    assert own.status_code == 200
    assert len(agent.callers) == 2


async def test_browsers_may_call_from_the_origins_of_the_settings() -> None:
    origin = "https://desk.example.com"
    async with web_client(FakeAgent(), *KEYS, origins=(origin,)) as client:
        asked = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,idempotency-key,content-type",
        }
        preflight = await client.options("/v1/sessions", headers=asked)
        allowed = await client.post("/v1/sessions", json=START, headers={"Origin": origin, **bearer(HELPDESK)})
        foreign = await client.options("/v1/sessions", headers={**asked, "Origin": "https://evil.example"})
        refused = await client.get("/v1/sessions", headers={"Origin": origin})
    assert preflight.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == origin
    assert "access-control-allow-origin" not in foreign.headers
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, origin)


# Errors


@pytest.mark.parametrize(
    ("failure", "status", "kind"),
    [
        (InvalidRequestError("to_uri: no"), 422, "invalid-request"),
        (NotAuthorizedError("no"), 403, "not-authorized"),
        (NotFoundError("no"), 404, "not-found"),
        (ConflictError("no"), 409, "conflict"),
        (OutOfRangeError("no"), 410, "out-of-range"),
        (OverloadedError("no"), 503, "overloaded"),
        (StoreError("no"), 503, "unavailable"),
        (DatabaseError("no"), 503, "unavailable"),
        (BusError("no"), 503, "unavailable"),
        (RuntimeError("secret"), 500, "internal-error"),
    ],
)
async def test_each_error_is_a_problem_with_a_type_that_says_what_it_means(
    failure: Exception, status: int, kind: str
) -> None:
    agent = FakeAgent()
    agent.failure = failure
    # Elsewhere than in a node, logging shows every variable of a traceback, which takes seconds.
    with capture_logs() as logs:
        async with web_client(agent) as client:
            answer = await client.post("/v1/sessions", json=START)
    assert [each["event"] for each in logs if each["log_level"] == "error"] == ["request failed"] * (status == 500)
    async with web_client(agent) as client:
        meaning = await client.get(answer.json()["type"])
    assert problem(answer) == (status, kind)
    assert "secret" not in answer.text
    assert ("retry-after" in answer.headers) is (status == 503)
    assert meaning.status_code == 200
    if kind == "invalid-request":
        assert answer.json()["errors"] == [{"field": "to_uri", "detail": "no"}]


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b"{}", "to_uri"),
        (b'{"to_uri": 3}', "to_uri"),
        (b'{"to_uri": "sip:bob@example.com", "no_such": 1}', "no_such"),
        (b'{"to_uri": "sip:bob@example.com", "timeout": 181}', "timeout"),
        (b'{"to_uri": "sip:bob@example.com", "timeout": NaN}', "timeout"),
        (b'{"to_uri": "sip:bob@example.com\\r\\nX: y"}', "to_uri"),
        (b'{"to_uri": "sip:bob@example.com", "labels": {"a": 1}}', "labels.a"),
        (b'{"to_uri": "sip:\\ud800@example.com"}', "to_uri"),
        (b"[]", "body"),
        (b"{", None),
        (b"\xff", None),
        (b"[" * 100_000, None),
    ],
)
async def test_a_body_that_makes_no_sense_is_refused_by_field(content: bytes, field: str | None) -> None:
    agent = FakeAgent()
    async with web_client(agent, *KEYS) as client:
        headers = {"Content-Type": "application/json", **bearer(HELPDESK)}
        answer = await client.post("/v1/sessions", content=content, headers=headers)
    status, kind = problem(answer)
    assert (status, kind) in {(422, "invalid-request"), (400, "bad-request")}
    if field is not None:
        assert [each["field"] for each in answer.json()["errors"]] == [field]
    assert not agent.sessions


async def test_paths_and_methods_that_do_not_exist_are_problems_too() -> None:
    async with web_client(FakeAgent()) as client:
        assert problem(await client.get("/v1/nothing")) == (404, "not-found")
        assert problem(await client.put("/v1/sessions")) == (405, "method-not-allowed")


# Sessions


async def test_equal_idempotency_keys_start_one_session() -> None:
    async with web_client(FakeAgent(), *KEYS, token=HELPDESK) as client:
        headers = {"Idempotency-Key": "order-4711"}
        first = await client.post("/v1/sessions", json=START, headers=headers)
        again = await client.post("/v1/sessions", json=START, headers=headers)
        other = await client.post("/v1/sessions", json=START)
        long = await client.post("/v1/sessions", json=START, headers={"Idempotency-Key": "k" * 256})
    assert first.json()["session_id"] == again.json()["session_id"] != other.json()["session_id"]
    assert problem(long) == (422, "invalid-request")


async def test_an_offered_session_is_answered_held_and_ended() -> None:
    agent = FakeAgent()
    path = f"/v1/sessions/{agent.offer().session_id}"
    async with web_client(agent) as client:
        answered = await client.post(f"{path}/answer", json={"labels": {"agent": "eve"}})
        twice = await client.post(f"{path}/answer")
        held = await client.post(f"{path}/hold", json={"hold": True})
        ended = await client.post(f"{path}/end")
        again = await client.delete(path)
    assert (answered.json()["state"], answered.json()["labels"]) == ("open", {"agent": "eve"})
    assert problem(twice) == (409, "conflict")
    assert held.status_code == 200
    assert (ended.json()["state"], ended.json()["end_cause"]) == ("ended", "ended_here")
    assert again.status_code == 200


async def test_an_offered_session_is_rejected() -> None:
    agent = FakeAgent()
    busy, declined = agent.offer(), agent.offer()
    async with web_client(agent) as client:
        first = await client.post(f"/v1/sessions/{busy.session_id}/reject", json={"sip_status": 486})
        second = await client.post(f"/v1/sessions/{declined.session_id}/reject")
    assert (first.status_code, busy.sip_status) == (204, 486)
    assert (second.status_code, declined.sip_status) == (204, 603)


async def test_pages_of_sessions_add_up_and_filters_hold() -> None:
    agent = FakeAgent()
    for number in range(7):
        agent.open().labels["team"] = "a" if number % 2 else "b"
    agent.offer()
    found, token = [], ""
    async with web_client(agent) as client:
        while True:
            page = (await client.get("/v1/sessions", params={"page_size": 3, "page_token": token})).json()
            found += [session["session_id"] for session in page["sessions"]]
            token = page["next_page_token"]
            if not token:
                break
        labelled = await client.get("/v1/sessions", params={"label": "team:a"})
        offered = await client.get("/v1/sessions", params={"state": "offered"})
        unknown = await client.get("/v1/sessions", params={"state": "asleep"})
        malformed = await client.get("/v1/sessions", params={"label": "team"})
        too_many = await client.get("/v1/sessions", params={"page_size": 1_001})
    assert found == sorted(agent.sessions)
    assert (len(labelled.json()["sessions"]), len(offered.json()["sessions"])) == (3, 1)
    assert [each.json()["errors"][0]["field"] for each in (unknown, malformed, too_many)] == [
        "state",
        "label",
        "page_size",
    ]


async def test_what_a_session_is_like_is_told_in_words_and_times() -> None:
    agent = FakeAgent()
    session = agent.open()
    session.end_cause = session_pb2.END_CAUSE_NO_COMMON_TYPE
    async with web_client(agent) as client:
        told = (await client.get(f"/v1/sessions/{session.session_id}")).json()
    assert (told["created_at"], told["opened_at"]) == ("2023-11-14T22:13:20.250000Z", None)
    assert (told["direction"], told["end_cause"]) == ("outbound", "no_common_type")
    assert told.keys() == {field.name for field in session_pb2.Session.DESCRIPTOR.fields}


# Messages


async def test_text_and_octets_are_sent_and_found_again() -> None:
    agent = FakeAgent()
    path = f"/v1/sessions/{agent.open().session_id}/messages"
    octets = bytes(range(256))
    async with web_client(agent) as client:
        text = await client.post(path, json={"text": "Grüße", "notifications": {"display": True}})
        encoded = await client.post(
            path, json={"content_type": "image/png", "base64": base64.b64encode(octets).decode()}
        )
        raw = await client.put(f"{path}/key-1", content=octets, headers={"Content-Type": "image/png"})
        again = await client.put(f"{path}/key-1", content=octets, headers={"Content-Type": "image/png"})
        found = (await client.get(text.headers["location"])).json()
        body = await client.get(f"{raw.headers['location']}/body")
        listed = (await client.get(path)).json()["messages"]
    assert [each.status_code for each in (text, encoded, raw, again)] == [201, 201, 201, 200]
    assert raw.json()["message_id"] == again.json()["message_id"]
    assert (found["message"]["text"], found["message"]["state"], found["pod"]) == ("Grüße", "accepted", "pod-1")
    assert found["message"]["requested"]["display"] is True
    assert (body.content, body.headers["content-type"]) == (octets, "image/png")
    assert [each["base64"] is None for each in listed] == [True, False, False]


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({}, "text"),
        ({"text": "a", "base64": "YQ=="}, "text"),
        ({"base64": "no base64!"}, "base64"),
        ({"text": "a", "content_type": "text/plain\r\nX: y"}, "content_type"),
        ({"text": "a", "expires_at": "2026-01-01T00:00:00"}, "expires_at"),
        ({"text": "a", "expires_at": "soon"}, "expires_at"),
        ({"text": "a", "notifications": {"shown": True}}, "notifications.shown"),
    ],
)
async def test_a_message_that_makes_no_sense_is_refused_by_field(content: dict[str, Any], field: str) -> None:
    agent = FakeAgent()
    async with web_client(agent) as client:
        answer = await client.post(f"/v1/sessions/{agent.open().session_id}/messages", json=content)
    assert problem(answer) == (422, "invalid-request")
    assert answer.json()["errors"][0]["field"] == field
    assert not agent.messages


async def test_a_message_for_nobody_or_for_a_session_that_is_over_is_refused() -> None:
    agent = FakeAgent()
    over = agent.open()
    over.state = session_pb2.SESSION_STATE_ENDED
    async with web_client(agent) as client:
        nobody = await client.post(f"/v1/sessions/{'f' * 32}/messages", json={"text": "a"})
        late = await client.post(f"/v1/sessions/{over.session_id}/messages", json={"text": "a"})
    assert [problem(nobody)[0], problem(late)[0]] == [404, 409]


@pytest.mark.parametrize(
    ("wanted", "status", "expected", "told"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-4", 206, b"6789", "bytes 6-9/10"),
        ("bytes=5-99", 206, b"56789", "bytes 5-9/10"),
        ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=9-5", 200, b"0123456789", None),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=-0", 416, None, "bytes */10"),
    ],
)
async def test_a_part_of_a_body(wanted: str, status: int, expected: bytes | None, told: str | None) -> None:
    agent = FakeAgent()
    agent.files["b1"] = b"0123456789"
    agent.messages["m1"] = message_pb2.Message(
        message_id="m1", session_id=agent.open().session_id, content_type="text/plain", body=b"0123456789", size=10
    )
    async with web_client(agent) as client:
        for path in ("/v1/blobs/b1", "/v1/messages/m1/body"):
            answer = await client.get(path, headers={"Range": wanted})
            assert (answer.status_code, answer.headers.get("content-range")) == (status, told)
            assert expected is None or answer.content == expected
            assert expected is None or answer.headers["content-length"] == str(len(expected))


async def test_what_a_sip_user_sends_does_nothing_in_a_browser() -> None:
    agent = FakeAgent()
    agent.messages["m1"] = message_pb2.Message(
        message_id="m1",
        session_id=agent.open().session_id,
        content_type="text/html\r\nSet-Cookie: a=b",
        body=b"<script>",
    )
    async with web_client(agent) as client:
        answer = await client.get("/v1/messages/m1/body")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "set-cookie" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"] == "attachment"


async def test_composing_and_displayed() -> None:
    agent = FakeAgent()
    session = agent.open()
    async with web_client(agent) as client:
        path = f"/v1/sessions/{session.session_id}"
        sent = (await client.post(f"{path}/messages", json={"text": "a"})).json()
        composing = await client.put(f"{path}/composing", json={"active": True})
        shown = await client.put(f"/v1/messages/{sent['message_id']}/displayed")
    assert (composing.status_code, shown.status_code) == (204, 204)
    assert (agent.composing, agent.displayed) == ([(session.session_id, True)], [sent["message_id"]])


async def test_an_application_says_what_became_of_a_message() -> None:
    agent = FakeAgent()
    session = agent.open()
    async with web_client(agent) as client:
        sent = (await client.post(f"/v1/sessions/{session.session_id}/messages", json={"text": "a"})).json()
        path = f"/v1/messages/{sent['message_id']}/settle"
        settled = await client.post(path, json={"state": "failed", "status": 413, "reason": "too large"})
        other = await client.post(path, json={"state": "delivered"})
        wrong = await client.post(path, json={"state": "displayed"})
        missing = await client.post("/v1/messages/nobody/settle", json={"state": "delivered"})
    assert (settled.status_code, settled.json()["state"]) == (200, "failed")
    assert (other.status_code, wrong.status_code, missing.status_code) == (409, 422, 404)
    (request,) = agent.settled
    assert (request.status, request.reason) == (413, "too large")


async def test_a_reference_is_told_again() -> None:
    agent = FakeAgent()
    session = agent.open()
    async with web_client(agent) as client:
        body = {"text": "a", "reference": "gw:4711"}
        sent = (await client.post(f"/v1/sessions/{session.session_id}/messages", json=body)).json()
        found = (await client.get(f"/v1/messages/{sent['message_id']}")).json()
    assert found["message"]["reference"] == "gw:4711"


# Files and bounds


async def test_how_a_file_stands_is_asked_by_its_session_or_by_the_key_of_its_upload() -> None:
    async with web_client(FakeAgent(), *KEYS, token=HELPDESK) as client:
        by_session = (await client.get("/v1/files/s1")).json()
        by_key = (await client.get("/v1/files", params={"idempotency_key": "k"})).json()
        neither = await client.get("/v1/files")
    assert (by_session["session_id"], by_session["state"]) == ("s1", "running")
    assert (by_key["state"], by_key["transferred"]) == ("uploading", 7)
    assert neither.status_code == 422


async def test_a_file_is_streamed_up_and_down() -> None:
    agent = FakeAgent()
    content = bytes(range(256)) * 10_000

    async def pieces() -> AsyncIterator[bytes]:
        for first in range(0, len(content), 100_000):
            yield content[first : first + 100_000]

    params = {"to_uri": "sip:bob@example.com", "name": "a.bin", "label": "ticket:4711"}
    async with web_client(agent, *KEYS, token=HELPDESK) as client:
        sent = await client.post("/v1/files", params=params, content=pieces(), headers={"Content-Type": "image/png"})
        read = await client.get(f"/v1/blobs/{sent.json()['blob_id']}")
        fetched = await client.post("/v1/files/fetch", json={"to_uri": "sip:bob@example.com", "name": "b.bin"})
        none = await client.post("/v1/files/fetch", json={"to_uri": "sip:bob@example.com"})
    assert (sent.status_code, sent.json()["size"], sent.json()["content_type"]) == (201, len(content), "image/png")
    assert read.content == content
    assert (fetched.status_code, problem(none)[0]) == (201, 422)


async def test_a_body_above_the_limit_is_refused_with_and_without_a_length() -> None:
    agent = FakeAgent()
    limits = UaLimits(message_bytes=1_000, file_bytes=100_000)
    path = f"/v1/sessions/{agent.open().session_id}/messages"

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 50_000

    async with web_client(agent, limits=limits) as client:
        told = await client.put(f"{path}/k", content=b"x" * 100_000, headers={"Content-Type": "text/plain"})
        assert problem(told) == (413, "too-large")
        for url in (f"{path}/k", "/v1/files?to_uri=sip:bob@example.com"):
            method = "POST" if "files" in url else "PUT"
            try:
                untold = await client.request(method, url, content=endless(), headers={"Content-Type": "text/plain"})
            except httpx.TransportError:
                continue  # the server answered and closed while the client still wrote
            assert problem(untold) == (413, "too-large")
    assert not agent.messages
    assert not agent.files


async def raw(client: httpx.AsyncClient, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(str(client.base_url))
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(request)
    return reader, writer


async def test_a_body_that_never_comes_ends_in_408() -> None:
    async with web_client(FakeAgent(), patience=0.1) as client:
        head = b"POST /v1/sessions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\n{"
        reader, writer = await raw(client, head)
        status = await asyncio.wait_for(reader.readline(), 10)
        writer.close()
    assert b" 408 " in status


async def test_a_head_that_never_ends_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wigwag.runtime.http_server._HEADERS", 0.1)
    async with web_client(FakeAgent()) as client:
        reader, writer = await raw(client, b"GET /v1/sessions HTTP/1.1\r\nX")
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()


async def test_two_lengths_are_no_request() -> None:
    async with web_client(FakeAgent()) as client:
        lengths = b"Content-Length: 5\r\nContent-Length: 6\r\n"
        head = b"PUT /v1/sessions/a/messages/b HTTP/1.1\r\nHost: 127.0.0.1\r\n" + lengths + b"\r\n"
        reader, writer = await raw(client, head)
        status = await asyncio.wait_for(reader.readline(), 10)
        writer.close()
    assert b" 400 " in status


async def test_a_client_that_leaves_in_the_middle_of_a_file_leaves_nothing() -> None:
    agent = FakeAgent()
    async with web_client(agent) as client:
        head = b"POST /v1/files?to_uri=sip:bob@example.com HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50\r\n\r\nabc"
        _, writer = await raw(client, head)
        await writer.drain()
        writer.close()
        await client.get("/v1/sessions")
    assert not agent.files


# The document


async def test_the_openapi_document_needs_no_key_and_describes_every_operation() -> None:
    async with web_client(FakeAgent(), *KEYS) as client:
        document = (await client.get("/v1/openapi.json")).json()
    operations = [
        operation
        for path, methods in document["paths"].items()
        for operation in methods.values()
        if "problems" not in path
    ]
    assert len(operations) >= 17
    assert all(each["summary"] and {"401", "422", "503"} <= each["responses"].keys() for each in operations)
    assert all(each["security"] == [{"HTTPBearer": []}] for each in operations)
    assert "examples" in str(document["components"]["schemas"]["StartSession"]) or "example" in str(
        document["components"]["schemas"]["StartSession"]
    )
    for name in ("Session", "Message"):
        described = document["components"]["schemas"][name]["properties"]
        assert sum("description" in field for field in described.values()) >= 6
