"""Registrations of a running node, as operators and their scripts see, remove and hear of them."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.test_opensips_cli import opensips_cli
from tests.support.node import RunningNode, demo_environment, json_of, running_node
from tests.support.processes import free_port
from tests.support.sip_client import LiveSipClient
from tests.support.waiting import until
from wigwag.api.events.v1.envelope_pb2 import Envelope
from wigwag.api.events.v1.registration_pb2 import RegistrationChange
from wigwag.bus import Earliest
from wigwag.bus.sqlite import SqliteBus
from wigwag.node.demo_data import DOMAIN
from wigwag.runtime.events import REGISTRATIONS


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[RunningNode]:
    data_dir = tmp_path_factory.mktemp("node")
    with running_node(environment_of(data_dir, port), data_dir, "--demo") as running:
        yield running


def environment_of(data_dir: Path, port: int) -> dict[str, str]:
    """Return the settings of a demo node that speaks SIP over TCP at ``port``."""
    environment = demo_environment(data_dir, sip=("tcp",))
    (listener,) = json.loads(environment["WIGWAG_RELAY__SIP__LISTENERS"])
    environment["WIGWAG_RELAY__SIP__LISTENERS"] = json.dumps([{**listener, "port": port}])
    environment["WIGWAG_RELAY__SIP__PAGER__STORE"] = "false"
    return environment


def client(node: RunningNode, port: int, user: str) -> LiveSipClient:
    users = json.loads((node.data_dir / "demo" / "users.json").read_text())
    return LiveSipClient(port, f"{user}@{DOMAIN}", users[user])


@pytest.fixture
async def alice(node: RunningNode, port: int) -> AsyncIterator[LiveSipClient]:
    async with client(node, port, "alice") as opened:
        assert (await opened.register()).status == 200
        yield opened
    await until(lambda: listed(node) == [])


def listed(node: RunningNode) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json_of(node.command("registrations", "list", "--json"))
    return found


async def test_registration_is_shown_and_goes_with_its_connection(node: RunningNode, alice: LiveSipClient) -> None:
    user = alice.aor.removeprefix("sip:")
    (row,) = listed(node)
    assert (row["aor"], row["bindings"][0]["contact"]) == (alice.aor, alice.contact)
    assert json_of(node.command("registrations", "show", user, "--json")) == row
    assert user in node.command("registrations", "list").stdout
    status = json_of(node.command("status", "--group", "registrations", "--json"))
    identifiers = {entry["name"]: entry for entry in status["pods"][0]["groups"][0]["identifiers"]}
    await until(lambda: identifiers["main"]["ready"])
    await alice.close()
    await until(lambda: listed(node) == [])


async def test_operator_removes_a_user_who_is_reached_no_more(
    node: RunningNode, port: int, alice: LiveSipClient
) -> None:
    user = alice.aor.removeprefix("sip:")
    async with client(node, port, "bob") as bob:
        assert node.command("registrations", "remove", user).returncode == 0
        assert listed(node) == []
        assert (await bob.message(alice.aor, "hello")).status == 480
        refused = node.command("registrations", "remove", user)
        assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)


async def test_opensips_cli_shows_and_removes_contacts(node: RunningNode, alice: LiveSipClient) -> None:
    user, url = alice.aor.removeprefix("sip:"), f"{node.url}/mi"
    shown = opensips_cli(url, "ul_show_contact", "location", user)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert json.loads(shown.stdout)["Contacts"][0]["Contact"] == alice.contact
    dumped = opensips_cli(url, "ul_dump")
    assert json.loads(dumped.stdout)["Domains"][0]["AORs"][0]["AOR"] == user
    assert opensips_cli(url, "ul_rm_contact", "location", user, alice.contact).returncode == 0
    assert listed(node) == []


async def test_blocked_user_is_refused_once_the_lists_are_read(
    node: RunningNode, port: int, alice: LiveSipClient
) -> None:
    user = alice.aor.removeprefix("sip:")
    async with client(node, port, "bob") as bob:
        sender = bob.aor.removeprefix("sip:")
        assert node.command("user", "block", user, sender).returncode == 0
        assert json_of(node.command("user", "blocked", user, "--json")) == [sender]
        assert json_of(node.command("mi", "wigwag:reload_block_lists")) == {"entries": 1}
        assert (await bob.message(alice.aor, "hello")).status == 403
        assert node.command("user", "unblock", user, sender).returncode == 0
        assert json_of(node.command("mi", "wigwag:reload_block_lists")) == {"entries": 0}


async def test_what_happened_until_the_last_moment_is_on_the_bus(tmp_path: Path) -> None:
    port = free_port()
    with running_node(environment_of(tmp_path, port), tmp_path, "--demo") as node:
        async with client(node, port, "alice") as alice, client(node, port, "bob") as bob:
            for each in (alice, bob):
                assert (await each.register()).status == 200
            assert (await alice.register(0)).status == 200
            node.process.terminate()
            assert await asyncio.to_thread(node.process.wait, 30) == 0
    async with SqliteBus(tmp_path / "bus.sqlite3") as bus:
        bus.declare(REGISTRATIONS)
        records = [Envelope.FromString(record.value) async for record in bus.replay(REGISTRATIONS.name, Earliest())]
    prefix = len("REGISTRATION_CHANGE_")
    events = [
        (record.registration.aor, RegistrationChange.Name(record.registration.change)[prefix:]) for record in records
    ]
    assert events == [
        (alice.aor, "REGISTERED"),
        (bob.aor, "REGISTERED"),
        (alice.aor, "UNREGISTERED"),
        (bob.aor, "FLOW_LOST"),
    ]
