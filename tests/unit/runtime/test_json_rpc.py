"""JSON-RPC 2.0, by its specification's own examples and a table of bad inputs."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wigwag.errors import NotFoundError, StoreError
from wigwag.runtime.json_rpc import MOST_IN_BATCH, MethodNotFoundError, Params, answer
from wigwag.runtime.management import ArgumentError


class Methods:
    """Some methods, and what was called."""

    def __init__(self) -> None:
        self.called: list[str] = []

    def __call__(self, method: str, params: Params) -> Any:
        self.called.append(method)
        if method == "later":
            return self.later(params)
        if method == "echo":
            return params
        raise {
            "missing": NotFoundError("Group not found"),
            "away": StoreError("no answer"),
            "wrong": ArgumentError("echo needs 'x'"),
            "bug": KeyError("secret"),
        }.get(method, MethodNotFoundError(method))

    async def later(self, params: Params) -> Any:
        await asyncio.sleep(0)
        return params


async def call(body: str | bytes, methods: Methods | None = None) -> Any:
    raw = await answer(body.encode() if isinstance(body, str) else body, methods or Methods())
    return None if raw is None else json.loads(raw)


async def test_a_result_comes_with_the_requests_id() -> None:
    for method in ("echo", "later"):
        for request_id in ("1933", 7, -1, 1.5, "", None):
            request = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": ["a"]}
            assert await call(json.dumps(request)) == {"jsonrpc": "2.0", "id": request_id, "result": ["a"]}


async def test_params_may_be_left_out() -> None:
    assert (await call('{"jsonrpc": "2.0", "method": "echo", "id": 1}'))["result"] == {}


async def test_a_notification_is_run_and_never_answered() -> None:
    methods = Methods()
    for method in ("echo", "later", "missing", "unheard", "bug"):
        assert await call(f'{{"jsonrpc": "2.0", "method": "{method}"}}', methods) is None
    assert methods.called == ["echo", "later", "missing", "unheard", "bug"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"\xff", -32700),
        (b'{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', -32700),
        (b'[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},{"jsonrpc": "2.0", "method"', -32700),
        (b"[" * 100_000, -32700),
        (b'{"jsonrpc": "2.0", "id": ' + b"9" * 10_000 + b"}", -32700),
        (b"NaN", -32700),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "echo", "params": [Infinity]}', -32700),
        (b"[]", -32600),
        (b"1", -32600),
        (b'"which"', -32600),
        (b"null", -32600),
        (b'{"jsonrpc": "2.0", "method": 1, "params": "bar"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "params": []}', -32600),
        (b'{"jsonrpc": "1.0", "id": 1, "method": "echo"}', -32600),
        (b'{"id": 1, "method": "echo"}', -32600),
        (b'{"jsonrpc": 2.0, "id": 1, "method": "echo"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "echo", "params": "x"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "echo", "params": null}', -32600),
        (b'{"jsonrpc": "2.0", "id": true, "method": "echo"}', -32600),
        (b'{"jsonrpc": "2.0", "id": [1], "method": "echo"}', -32600),
        (b'{"jsonrpc": "2.0", "id": {}, "method": "echo"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1e999, "method": "echo"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "unheard"}', -32601),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "wrong"}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "bug"}', -32603),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "missing"}', 404),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "away"}', 503),
    ],
)
async def test_each_mistake_has_its_code(body: bytes, code: int) -> None:
    response = await call(body)
    assert response["jsonrpc"] == "2.0"
    assert response["error"]["code"] == code
    assert "result" not in response
    assert response["id"] in ((1,) if b'"id": 1,' in body and code not in (-32700,) else (None,))


async def test_a_bug_tells_nothing_to_the_caller() -> None:
    response = await call('{"jsonrpc": "2.0", "id": 1, "method": "bug"}')
    assert "secret" not in json.dumps(response)


async def test_errors_carry_opensips_text_as_message() -> None:
    response = await call('{"jsonrpc": "2.0", "id": 1, "method": "missing"}')
    assert response["error"] == {"code": 404, "message": "Group not found"}


async def test_a_batch_is_answered_request_by_request_without_its_notifications() -> None:
    methods = Methods()
    batch = [
        {"jsonrpc": "2.0", "method": "echo", "params": [1], "id": "1"},
        {"jsonrpc": "2.0", "method": "echo", "params": [7]},
        {"foo": "boo"},
        1,
        {"jsonrpc": "2.0", "method": "unheard", "id": "5"},
        {"jsonrpc": "2.0", "method": "later", "params": [], "id": "9"},
    ]
    responses = await call(json.dumps(batch), methods)
    assert [(item["id"], item.get("error", {}).get("code")) for item in responses] == [
        ("1", None),
        (None, -32600),
        (None, -32600),
        ("5", -32601),
        ("9", None),
    ]
    assert methods.called == ["echo", "echo", "unheard", "later"]


async def test_a_batch_of_notifications_has_no_answer() -> None:
    assert await call('[{"jsonrpc": "2.0", "method": "echo"}, {"jsonrpc": "2.0", "method": "bug"}]') is None


async def test_a_batch_that_is_too_large_runs_nothing() -> None:
    methods = Methods()
    body = json.dumps([{"jsonrpc": "2.0", "method": "echo", "id": 1}] * (MOST_IN_BATCH + 1))
    assert (await call(body, methods))["error"]["code"] == -32600
    assert methods.called == []


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["jsonrpc", "method", "params", "id"]), inner | st.sampled_from(["2.0", "echo"]), max_size=4
        )
    ),
    max_leaves=10,
)


@given(st.one_of(st.binary(max_size=40), JSON.map(lambda value: json.dumps(value).encode())))
def test_whatever_comes_the_answer_is_json_rpc_or_none(body: bytes) -> None:
    raw = asyncio.run(answer(body, Methods()))
    if raw is None:
        return
    parsed = json.loads(raw)
    for response in parsed if isinstance(parsed, list) else [parsed]:
        assert response["jsonrpc"] == "2.0"
        assert ("result" in response) != ("error" in response)
