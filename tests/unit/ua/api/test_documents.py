"""What docs/applications.md says is so."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_agent import FakeAgent, received, tell
from tests.support.ua_api import HELPDESK, KEYS, web_client
from tests.support.waiting import until
from tests.unit.ua.api.test_websocket import staged
from wigwag.api.ua.v1 import event_pb2, message_pb2
from wigwag.ua.api.commands import COMMANDS
from wigwag.ua.api.jwt_tokens import SCOPES
from wigwag.ua.api.webhook_post import EVENT_ID, SIGNATURE, TIMESTAMP

TEXT = (Path(__file__).parents[4] / "docs" / "applications.md").read_text(encoding="utf-8")


async def test_every_path_exists_and_every_operation_is_told_of() -> None:
    async with web_client(FakeAgent()) as client:
        document = (await client.get("/v1/openapi.json")).json()
    known = {re.sub(r"\{\w+\}", "*", path) for path in document["paths"]} | {"/v1/events", "/v1/openapi.json"}
    told = {re.sub(r"\{\w+\}|\$ID", "*", path) for path in re.findall(r"(?<!ua)/v1/[\w/{}$]+(?:\.json)?", TEXT)}
    assert told - known == set()
    assert {path for path in known - told if "problems" not in path} <= {"/v1/sessions/*/end"}


async def test_the_program_that_answers_by_websocket_runs(tmp_path: Path) -> None:
    program = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)[0].replace('asyncio.run(main("..."))', "")
    async with staged(tmp_path, *KEYS) as stage:
        known: dict[str, Any] = {}
        exec(program.replace("ws://127.0.0.1:8081", stage.url), known)  # what is run is ours
        running = asyncio.create_task(known["main"](HELPDESK))
        await until(lambda: len(stage.feed) == 1)
        session_id = stage.agent.open().session_id
        await tell(stage.bus, received(1, b"Hello", session_id=session_id))
        await until(lambda: stage.agent.messages)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [message.body for message in stage.agent.messages.values()] == [b"Hello"]


@pytest.mark.parametrize("word", [*COMMANDS, *SCOPES, EVENT_ID, SIGNATURE, TIMESTAMP])
def test_every_name_is_told_of(word: str) -> None:
    assert word in TEXT


def test_every_type_of_event_and_every_state_is_told_of() -> None:
    types = [field.name for field in event_pb2.Event.DESCRIPTOR.oneofs_by_name["what"].fields]
    states = [name.removeprefix("DELIVERY_STATE_").lower() for name in message_pb2.DeliveryState.keys()[1:]]
    assert [each for each in (*types, *states) if f"`{each}`" not in TEXT] == []
