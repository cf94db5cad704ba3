"""What the ledger's pager rows say on the bus."""

from pathlib import Path
from typing import Any, cast

import pytest

from tests.support.ledger import ManualClock, new_message
from wigwag.api.events.v1.envelope_pb2 import Envelope
from wigwag.api.events.v1.pager_pb2 import PagerOutcome, PagerReason
from wigwag.bus import Bus, Message, RecordTooLargeError
from wigwag.database import Database
from wigwag.database.ledger import Change, Claim, Ledger, State
from wigwag.runtime.events import MESSAGE_STATES, PAGER_INBOUND, PAGER_RESULTS
from wigwag.runtime.ledger_events import LedgerEvents
from wigwag.runtime.ledger_sweeper import LedgerSweeper
from wigwag.runtime.pager_events import INBOUND, OUTBOUND, REASON, attempt_id

HEADERS = (
    ("Request-URI", "sip:bob@example.com;transport=tcp"),
    ("P-Asserted-Identity", "sip:alice@example.com"),
    ("From", "Alice <sip:alice@example.com>;tag=a1"),
    ("Call-ID", "call-1"),
    ("CSeq", "7 MESSAGE"),
    ("Subject", "gr\udcfcn"),
)


TRACE = f"00-{'a' * 32}-{'b' * 16}-01"


class RecordingBus:
    """Keeps what is published; takes no record of a topic it is told of."""

    def __init__(self) -> None:
        self.records: list[tuple[str, str, Envelope]] = []
        self.too_large = ""

    def declare(self, *topics: Any) -> None: ...

    async def publish_many(self, topic: str, messages: list[Message]) -> None:
        if topic == self.too_large:
            raise RecordTooLargeError("too large")
        for message in messages:
            self.records.append((topic, message.key, Envelope.FromString(message.value)))

    def of(self, topic: str) -> list[Envelope]:
        return [value for name, _, value in self.records if name == topic]


async def swept(directory: Path, message: Any, *changes: Change | Claim) -> RecordingBus:
    """Return what is published of a message and its changes."""
    bus = RecordingBus()
    async with (
        Database(f"sqlite:///{directory / 'ledger.sqlite3'}") as database,
        Ledger(database, clock=ManualClock()) as ledger,
    ):
        await ledger.accept_one(message)
        for change in changes:
            assert (await ledger.apply_one(change)).done
        sweeper = LedgerSweeper(ledger, LedgerEvents(cast("Bus", bus), "pod"), holder="pod")
        while await sweeper.sweep():
            pass
    return bus


@pytest.mark.parametrize("traceparent", ["", TRACE])
async def test_a_message_says_where_its_trace_goes_on_and_no_header_does(tmp_path: Path, traceparent: str) -> None:
    headers = (*HEADERS, ("traceparent", traceparent)) if traceparent else HEADERS
    bus = await swept(tmp_path, new_message(direction=INBOUND, headers=headers))
    (message,) = [each.pager_message for each in bus.of(PAGER_INBOUND.name)]
    assert message.traceparent == traceparent
    assert "traceparent" not in [each.name for each in message.headers]


async def test_message_that_waits_is_published_as_it_came_before_its_state(tmp_path: Path) -> None:
    bus = await swept(tmp_path, new_message("m-1", direction=INBOUND, headers=HEADERS, body=b"\x00hi"))
    assert [topic for topic, _, _ in bus.records] == [PAGER_INBOUND.name, MESSAGE_STATES.name]
    (envelope,) = bus.of(PAGER_INBOUND.name)
    message = envelope.pager_message
    assert (envelope.event_id, envelope.type) == ("m-1", "wigwag.pager.message_accepted")
    assert (message.message_id, message.body, message.call_id, message.cseq) == ("m-1", b"\x00hi", "call-1", 7)
    assert (message.from_tag, message.identity) == ("a1", "sip:alice@example.com")
    assert message.request_uri == "sip:bob@example.com;transport=tcp"
    assert {header.name: header.value for header in message.headers} == {
        "From": "Alice <sip:alice@example.com>;tag=a1",
        "Subject": "gr\ufffdn",
    }
    assert bus.records[0][1] == message.conversation


async def test_message_that_was_delivered_meanwhile_is_nobodys_to_deliver(tmp_path: Path) -> None:
    message = new_message("m-1", direction=INBOUND, headers=HEADERS)
    bus = await swept(tmp_path, message, Change(id="m-1", version=1, state=State.DELIVERED, status=200))
    assert bus.of(PAGER_INBOUND.name) == []
    assert len(bus.of(MESSAGE_STATES.name)) == 2


@pytest.mark.parametrize(
    ("state", "status", "outcome"),
    [
        (State.DELIVERED, 200, PagerOutcome.PAGER_OUTCOME_DELIVERED),
        (State.UNCONFIRMED, 202, PagerOutcome.PAGER_OUTCOME_ACCEPTED),
        (State.UNCONFIRMED, None, PagerOutcome.PAGER_OUTCOME_UNCONFIRMED),
        (State.FAILED, 480, PagerOutcome.PAGER_OUTCOME_FAILED),
        (State.EXPIRED, None, PagerOutcome.PAGER_OUTCOME_EXPIRED),
    ],
)
async def test_attempt_has_one_result_and_no_event_of_its_own(
    tmp_path: Path, state: State, status: int | None, outcome: PagerOutcome
) -> None:
    row = attempt_id("m-1", 3)
    message = new_message(row, direction=OUTBOUND, publish=False)
    bus = await swept(tmp_path, message, Change(id=row, version=1, state=state, status=status, reason="words"))
    ((topic, key, envelope),) = bus.records
    result = envelope.pager_result
    assert (topic, key) == (PAGER_RESULTS.name, message.conversation)
    assert (result.message_id, result.attempt, result.outcome, result.status) == ("m-1", 3, outcome, status or 0)


async def test_record_that_no_bus_takes_holds_up_nothing(tmp_path: Path) -> None:
    bus = RecordingBus()
    bus.too_large = PAGER_INBOUND.name
    async with (
        Database(f"sqlite:///{tmp_path / 'ledger.sqlite3'}") as database,
        Ledger(database, clock=ManualClock()) as ledger,
    ):
        await ledger.accept_one(new_message("m-1", direction=INBOUND, headers=HEADERS))
        sweeper = LedgerSweeper(ledger, LedgerEvents(cast("Bus", bus), "pod"), holder="pod")
        assert await sweeper.sweep()
        assert not await ledger.pending_events()
    assert len(bus.of(MESSAGE_STATES.name)) == 1


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("route", PagerReason.PAGER_REASON_ROUTE),
        ("absent", PagerReason.PAGER_REASON_ABSENT),
        ("session-mode", PagerReason.PAGER_REASON_SESSION_MODE),
        ("", PagerReason.PAGER_REASON_UNSPECIFIED),
    ],
)
async def test_message_says_why_it_was_kept(tmp_path: Path, reason: str, told: PagerReason) -> None:
    headers = ((REASON, reason), *HEADERS) if reason else HEADERS
    bus = await swept(tmp_path, new_message("m-1", direction=INBOUND, headers=headers))
    (envelope,) = bus.of(PAGER_INBOUND.name)
    assert envelope.pager_message.reason == told
    assert REASON not in {header.name for header in envelope.pager_message.headers}
