"""``wigwag send`` and ``wigwag receive`` at a registrar and proxy that is not ours, and at ours."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.edge_under_test import TRANSPORTS, SipEdge

WIGWAG = str(Path(sys.executable).with_name("wigwag"))


def environment(edge: SipEdge, user: str) -> dict[str, str]:
    return {**os.environ, "WIGWAG_PASSWORD": edge.users[user]}


def send(edge: SipEdge, server: str, *arguments: str, user: str = "alice") -> tuple[int, str]:
    command = [WIGWAG, "send", "--as", edge.aor("alice"), "--server", server, "--ca", edge.ca_file, *arguments]
    done = subprocess.run(
        command, env=environment(edge, user), capture_output=True, text=True, timeout=60, check=False, input=""
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_message_of_the_command_is_received_by_the_command(edge: SipEdge, transport: str) -> None:
    server = f"{transport}:{edge.address(transport)}"
    command = [WIGWAG, "receive", "--as", edge.aor("bob"), "--server", server, "--ca", edge.ca_file]
    with subprocess.Popen(
        [*command, "--count", "1", "--timeout", "40", "--json"],
        env=environment(edge, "bob"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as bob:
        assert bob.stderr is not None
        assert "is registered" in bob.stderr.readline()
        assert send(edge, server, "--to", edge.aor("bob"), "grüße\nbob")[0] == 0
        output, _ = bob.communicate(timeout=40)
    assert bob.returncode == 0
    received = json.loads(output)
    assert (received["text"], received["from"]) == ("grüße\nbob", edge.aor("alice"))
    # He has unregistered, and a user with another's password is not let through.
    assert send(edge, server, "--to", edge.aor("bob"), "gone?")[0] == 4
    assert send(edge, server, "--to", edge.aor("bob"), "mine?", user="carol")[0] == 4
