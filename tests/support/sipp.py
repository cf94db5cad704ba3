"""SIPp as SIP peer: one scenario run to its end, or a registered user agent that answers while the test goes on.

The scenarios are the XML files in ``tests/support/sipp``. This SIPp (3.6) answers digest challenges by MD5 alone, and
reads the first challenge of a response only. When it has sent a request twice, the second challenge is unexpected to it
unless a step says so: hence the transactions called ``challenged`` in the scenarios. A request that reaches a user
agent outside of its own calls starts the scenario that is to answer it (``-oocsf``), so agent and answers share one
socket, as with a phone.
"""

import csv
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.support.edge_under_test import SipEdge, free_sip_port
from tests.support.peers import require_peer
from tests.support.processes import Process, ProcessError, wait_until

SCENARIOS: Final = Path(__file__).with_name("sipp")
SECONDS: Final = 20.0
"""Longest run of a scenario."""
_STATUS: Final = re.compile(r"^SIP/2\.0 (\d{3}) ", re.MULTILINE)
_RECEIVED: Final = re.compile(r"message received \[\d+\] bytes ?:?\s*\n\n(.*?)(?=\n-{20,}|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class SippResult:
    """What came of a scenario.

    Args:
        successful: Calls that went as the scenario says.
        failed: Calls that did not.
        retransmissions: Requests that SIPp sent again.
        messages: Every message sent and received, with its time.
        errors: What SIPp found unexpected.
    """

    successful: int
    failed: int
    retransmissions: int
    messages: str = field(repr=False)
    errors: str

    @property
    def statuses(self) -> list[int]:
        """Status of each response received, in order."""
        return [int(status) for part in _RECEIVED.findall(self.messages) for status in _STATUS.findall(part)[:1]]

    def expect_success(self, calls: int = 1) -> None:
        """Check that all calls were successful.

        Raises:
            AssertionError: Some were not; the text holds the messages.
        """
        assert (self.successful, self.failed) == (calls, 0), f"{self}\n{self.messages[-8000:]}"


class SippAgent:
    """A registered user agent; ``log`` is what its scenarios logged."""

    def __init__(self, directory: Path, process: Process) -> None:
        self._directory = directory
        self._process = process

    @property
    def log(self) -> list[str]:
        """Lines that its scenarios logged: ``registered``, ``received <body>``, ``invited <sdp>``, ``confirmed`` ..."""
        return [line for line in _read(self._directory / "logs").splitlines() if line]

    @property
    def messages(self) -> str:
        """Every message sent and received."""
        return _read(self._directory / "messages")

    def wait_for(self, line: str, count: int = 1) -> None:
        """Wait until a line was logged that often.

        Raises:
            AssertionError: It was not within ``SECONDS``; the text holds the messages.
        """
        with suppress(TimeoutError):
            wait_until(
                lambda: self._logged(line) >= count or self._process.has_ended(), seconds=SECONDS, what="such line"
            )
        if self._logged(line) < count:
            told = (_read(self._directory / "errors"), self._process.log_tail(), self.messages[-8000:])
            raise AssertionError("\n".join((f"no {line!r}: {self.log}", *told)))

    def _logged(self, line: str) -> int:
        return self.log.count(line)


def run_sipp(
    scenario: str,
    edge: SipEdge,
    user: str,
    *,
    peer: str = "",
    peer_domain: str | None = None,
    transport: str = "udp",
    password: str | None = None,
    calls: int = 1,
    rate: int = 50,
    lost: int = 0,
    seconds: float = SECONDS,
    **keys: str,
) -> SippResult:
    """Run a scenario until its calls have ended.

    Args:
        scenario: Name of a file in ``tests/support/sipp``.
        edge: Where it sends to.
        user: Who it is.
        peer: User that its requests are for.
        peer_domain: Domain of that user; None: the edge's.
        transport: ``udp`` or ``tcp``.
        password: Another than the user's own.
        calls: How often the scenario is run.
        rate: Calls begun per second.
        lost: How many of a hundred datagrams, in either direction, SIPp loses.
        seconds: Longest run; calls that are not through by then have failed.
        **keys: Values of further keywords of the scenario.
    """
    with tempfile.TemporaryDirectory(prefix="wigwag-sipp-") as name:
        directory = Path(name)
        keys = {**_keys(edge, user, peer, password), "peer_domain": peer_domain or edge.domain, **keys}
        command = _command(scenario, edge, transport, keys)
        command += ["-m", str(calls), "-r", str(rate), "-timeout", f"{seconds:g}s", "-timeout_error"]
        command += ["-lost", str(lost)] if lost else []
        with Process(command, log=directory / "screen", directory=directory) as process:
            wait_until(process.has_ended, seconds=seconds + 5.0, what="end of SIPp")
            return _result(directory, process)


@contextmanager
def sipp_agent(
    edge: SipEdge,
    user: str,
    answers: str = "receive",
    *,
    transport: str = "udp",
    expires: int = 300,
    features: str = "",
    **more: str,
) -> Iterator[SippAgent]:
    """Run a user agent that has registered, until the block ends; then its binding is removed.

    Args:
        edge: Where it registers.
        user: Who it is.
        answers: Scenario that answers requests to it: ``receive``, ``answer``, ``answer_twice``, ``ring``.
        transport: ``udp`` or ``tcp``.
        expires: Seconds that it registers for.
        features: Parameters of its Contact (RFC 3840), each after a semicolon.
        **more: Values of further keywords of the scenario.
    """
    with tempfile.TemporaryDirectory(prefix="wigwag-sipp-") as name:
        directory = Path(name)
        keys = {**_keys(edge, user, "", None), "expires": str(expires), "features": features, **more}
        command = _command("agent", edge, transport, keys)
        command += ["-m", "1", "-oocsf", str(SCENARIOS / f"{answers}.xml")]
        with Process(command, log=directory / "screen", directory=directory) as process:
            agent = SippAgent(directory, process)
            agent.wait_for("registered")
            yield agent
        run_sipp("remove", edge, user, transport=transport).expect_success()


def _digest_uri(scenario: str, keys: Mapping[str, str]) -> str:
    """The Request-URI, without its scheme, that SIPp is to authenticate."""
    registers = scenario in ("register", "agent", "remove")
    return keys["domain"] if registers else f"{keys['peer']}@{keys['peer_domain']}"


def _keys(edge: SipEdge, user: str, peer: str, password: str | None) -> dict[str, str]:
    password = password or edge.users.get(user, "")
    return {"domain": edge.domain, "user": user, "peer": peer, "password": password, "expires": "300"}


def _command(scenario: str, edge: SipEdge, transport: str, keys: Mapping[str, str]) -> list[str | Path]:
    command: list[str | Path] = [require_peer("sipp"), edge.address(transport), "-sf", SCENARIOS / f"{scenario}.xml"]
    command += ["-t", {"udp": "u1", "tcp": "t1"}[transport], "-i", edge.host, "-p", str(free_sip_port()), "-nostdin"]
    command += ["-au", keys["user"], "-ap", keys["password"], "-auth_uri", _digest_uri(scenario, keys)]
    command += ["-default_behaviors", "abortunexp"]
    command += ["-trace_stat", "-stf", "statistics", "-fd", "1", "-trace_err", "-error_file", "errors"]
    command += ["-trace_msg", "-message_file", "messages", "-trace_logs", "-log_file", "logs"]
    for name, value in keys.items():
        command += ["-key", name, value]
    return command


def _result(directory: Path, process: Process) -> SippResult:
    rows = list(csv.DictReader(_read(directory / "statistics").splitlines(), delimiter=";"))
    if not rows:
        raise ProcessError(f"SIPp ended without statistics\n{process.log_tail()}\n{_read(directory / 'errors')}")
    return SippResult(
        successful=int(rows[-1]["SuccessfulCall(C)"]),
        failed=int(rows[-1]["FailedCall(C)"]),
        retransmissions=int(rows[-1]["Retransmissions(C)"]),
        messages=_read(directory / "messages"),
        errors=_read(directory / "errors"),
    )


def _read(file: Path) -> str:
    return file.read_text(errors="replace") if file.exists() else ""
