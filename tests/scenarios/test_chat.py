"""``wigwag chat`` in two terminals at a demo node, as the README has it."""

import os
import pty
import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.chats import ChatProcess, Stage, chatting
from tests.support.node import WIGWAG, RunningNode, clean_environment, running_node
from tests.support.processes import wait_until

ALICE, BOB = "sip:alice@localhost", "sip:bob@localhost"
LARGE = 3_000_000


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(tmp_path_factory.mktemp("node"))


@pytest.fixture(scope="module")
def node(stage: Stage) -> Iterator[RunningNode]:
    with running_node(stage.environment, stage.directory, "relay", "--demo") as running:
        yield running


@contextmanager
def both(stage: Stage, *options: str, direct: bool = False) -> Iterator[tuple[ChatProcess, ChatProcess]]:
    """Let alice call bob, who takes it; return both when they see each other."""
    with (
        waiting(stage, *options, direct=direct) as bob,
        chatting(stage.environment, BOB, *stage.arguments("alice", direct=direct)) as alice,
    ):
        bob.see("alice calls. Take it? [y/n]")
        bob.type("y")
        alice.see("bob is here")
        bob.see("alice is here")
        yield alice, bob


@contextmanager
def waiting(stage: Stage, *options: str, direct: bool = False) -> Iterator[ChatProcess]:
    """Let bob wait for calls."""
    with chatting(stage.environment, *stage.arguments("bob", direct=direct), *options) as bob:
        bob.see("waits to be called")
        yield bob


@pytest.mark.parametrize("direct", [False, True])
def test_two_people_chat_and_see_what_was_displayed(node: RunningNode, stage: Stage, direct: bool) -> None:
    with both(stage, direct=direct) as (alice, bob):
        alice.type("hällo bob")
        assert bob.see("hällo") == "alice: hällo bob"
        alice.see("#1 delivered ✓")
        alice.see("#1 displayed ✓✓")
        bob.type("hi", "//is no command", "/who")
        assert alice.see("bob: ") == "bob: hi"
        assert alice.see("bob: ") == "bob: /is no command"
        bob.see("sip:alice@localhost: in a chat")
        assert alice.leave() == 0
        bob.see("alice has left")
        assert bob.exit_status() == 0


def test_files_arrive_whole_under_a_name_of_their_own(node: RunningNode, stage: Stage, tmp_path: Path) -> None:
    downloads, source = tmp_path / "downloads", tmp_path / "report.bin"
    source.write_bytes(os.urandom(LARGE))
    with both(stage, "--downloads", str(downloads)) as (alice, bob):
        for name in ("report.bin", "report (1).bin"):
            alice.type(f"/file {source}")
            bob.see("alice sends report.bin (2.9 MiB, application/octet-stream)")
            bob.type("maybe", "y")
            bob.see("report.bin: 50 %")
            bob.see(f"saved as {downloads / name}")
            alice.see("report.bin delivered")
            assert (downloads / name).read_bytes() == source.read_bytes()
        assert sorted(path.name for path in downloads.iterdir()) == ["report (1).bin", "report.bin"]
        alice.type(f"/file {tmp_path / 'absent'}", f"/file {source}")
        alice.see("absent is no file")
        bob.see("alice sends report.bin")
        bob.type("n")
        alice.see("report.bin failed: 603 Decline")
        assert alice.leave() == 4


def test_lines_survive_a_node_that_is_killed(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    with running_node(stage.environment, tmp_path, "relay", "--demo") as first, both(stage) as (alice, bob):
        alice.type("one")
        alice.see("#1 displayed")
        first.process.kill()
        alice.see("is lost, and tried again")
        alice.type("two")
        bob.type("deux")
        with running_node(stage.environment, tmp_path, "relay", "--demo"):
            bob.see("alice: two")
            alice.see("bob: deux")
            alice.type("three")
            bob.see("alice: three")
            alice.see("#3 displayed")
            assert alice.leave() == 0
            bob.see("alice has left")
    assert [line for line in bob.lines if line.startswith("alice: ")] == ["alice: one", "alice: two", "alice: three"]
    assert [line for line in alice.lines if line.startswith("bob: ")] == ["bob: deux"]


def test_who_is_not_there_or_takes_no_chats_gets_single_messages(node: RunningNode, stage: Stage) -> None:
    with chatting(stage.environment, BOB, *stage.arguments("alice")) as alice:
        alice.see("bob is not there; lines are sent as single messages")
        alice.type("hello?")
        alice.see("#1 failed: 480")
        with receiving(stage) as phone:
            alice.type("/call", "hello!")
            alice.see("bob takes no chats (405 Method Not Allowed)")
            alice.see("#2 delivered ✓")
            assert phone.stdout is not None
            assert phone.stdout.readline() == f"{ALICE}: hello!\n"
            sent = node.command("send", "--as", BOB, "--to", ALICE, "--server", stage.server, "and back")
            assert sent.returncode == 0
            alice.see("bob: and back")
        assert alice.leave() == 4


def test_a_chat_follows_when_who_was_not_there_calls(node: RunningNode, stage: Stage) -> None:
    with chatting(stage.environment, BOB, *stage.arguments("alice")) as alice:
        alice.see("bob is not there")
        with chatting(stage.environment, ALICE, *stage.arguments("bob")) as bob:
            alice.see("bob is here")
            bob.see("alice is here")
            alice.type("there you are")
            bob.see("alice: there you are")
            alice.see("#1 displayed")
            assert bob.leave() == 0
        alice.see("bob has left")
        assert alice.exit_status() == 0


@contextmanager
def receiving(stage: Stage) -> "Iterator[subprocess.Popen[str]]":
    process = subprocess.Popen(
        [WIGWAG, "receive", "--as", BOB, "--server", stage.server],
        env=clean_environment(stage.environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        assert "is registered" in process.stderr.readline()
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def test_who_is_busy_or_does_not_want_to_says_so(node: RunningNode, stage: Stage) -> None:
    with waiting(stage) as bob:
        with chatting(stage.environment, BOB, *stage.arguments("alice")) as alice:
            bob.see("Take it?")
            bob.type("n")
            alice.see("bob did not take the call (603 Decline)")
            assert alice.exit_status() == 4
        with chatting(stage.environment, BOB, *stage.arguments("alice")) as alice:
            bob.see("Take it?")
            assert alice.leave() == 0
            bob.see("alice calls no more")
    # Bob calls alice, who does not answer yet.
    with chatting(stage.environment, *stage.arguments("alice")) as alice:
        alice.see("waits to be called")
        with chatting(stage.environment, ALICE, *stage.arguments("bob")) as bob:
            alice.see("bob calls. Take it?")
            with chatting(stage.environment, ALICE, *stage.arguments("bob"), "--device", "other") as another:
                another.see("alice is busy (486 Busy Here)")
                assert another.exit_status() == 4
            alice.type("y")
            bob.see("alice is here")


def test_lines_from_a_pipe_are_all_sent_before_the_end(node: RunningNode, stage: Stage) -> None:
    with waiting(stage) as bob, chatting(stage.environment, BOB, *stage.arguments("alice")) as alice:
        alice.type(*(f"line {number}" for number in range(2_000)))
        bob.see("Take it?")
        bob.type("y")
        assert alice.leave(by_end_of_input=True) == 0
        bob.see("alice has left")
        shown = [line for line in bob.lines if line.startswith("alice: ")]
    assert shown == [f"alice: line {number}" for number in range(2_000)]


def test_wrong_passwords_servers_and_addresses_end_it_at_once(node: RunningNode, stage: Stage) -> None:
    def status(*arguments: str, **variables: str) -> int:
        with chatting(stage.environment | variables, *arguments) as chat:
            return chat.exit_status()

    assert status(*stage.arguments("bob"), WIGWAG_PASSWORD="wrong") == 4
    assert status("--as", BOB, "--server", "tcp:localhost:9") == 5
    assert status("bob", *stage.arguments("alice")) == 2
    assert status(ALICE, *stage.arguments("alice")) == 2
    assert status("--as", BOB, "--server", stage.server, "--relay", "http://localhost") == 2


def test_in_a_terminal_the_other_side_sees_that_one_is_writing(node: RunningNode, stage: Stage) -> None:
    with waiting(stage) as bob, terminal(stage.environment, BOB, *stage.arguments("alice")) as typed:
        bob.see("Take it?")
        bob.type("y")
        bob.see("alice is here")
        typed.see("bob is here")
        typed.type("hel")
        bob.see("alice is writing")
        typed.type("lo\r")
        assert bob.see("alice: ") == "alice: hello"
        typed.see("#1 displayed ✓✓")
        typed.type("\x1b[A!\r")
        assert bob.see("alice: ") == "alice: hello!"
        typed.type("\x03")
        bob.see("alice has left")


class Terminal:
    """The other end of a pseudo terminal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._shown = ""

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def see(self, text: str) -> None:
        wait_until(lambda: self._reads(text), seconds=60, what=f"{text!r} in {self._shown}")

    def _reads(self, text: str) -> bool:
        if select.select([self._descriptor], [], [], 0.1)[0]:
            self._shown += os.read(self._descriptor, 65_536).decode(errors="replace")
        return text in self._shown


@contextmanager
def terminal(environment: dict[str, str], *arguments: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    variables = clean_environment(environment) | {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
    process = subprocess.Popen([WIGWAG, "chat", *arguments], env=variables, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        yield Terminal(ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
