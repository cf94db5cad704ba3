"""Messages of a session until their outcome is known."""

from typing import cast

import pytest

from wigwag.errors import ConflictError, LocalProtocolError
from wigwag.protocols.msrp import (
    DeliveryFailed,
    DeliverySucceeded,
    DeliveryUnconfirmed,
    MessageAccepted,
    MsrpUri,
    Session,
)
from wigwag.ua.endpoint.line import MediaLine
from wigwag.ua.endpoint.model import OutgoingMessage, Settlement
from wigwag.ua.endpoint.outbox import Outbox

URI = MsrpUri.parse("msrp://agents.invalid:2855/s;tcp")
SESSION = Session(local_uri=URI, remote_path=(MsrpUri.parse("msrp://peer.example:2855/p;tcp"),))
Outcome = tuple[str, Settlement, int, str]


class Client:
    def __init__(self) -> None:
        self.sent: list[str] = []
        self.aborted: list[str] = []

    def send_message(self, session: Session, content_type: str, body: bytes, *, message_id: str, **_: object) -> str:
        self.sent.append(message_id)
        return message_id

    def abort_message(self, session: Session, message_id: str) -> None:
        self.aborted.append(message_id)


class Line:
    """A line that is up or not."""

    def __init__(self, *, up: bool = True) -> None:
        self.client = Client()
        self.session = SESSION
        self.is_up = up


class Under:
    """An outbox and what it told."""

    def __init__(self) -> None:
        self.told: list[Outcome] = []
        self.outbox = Outbox(lambda *outcome: self.told.append(outcome))

    def add(self, message_id: str, line: Line | None, *, success_report: bool = True) -> None:
        message = OutgoingMessage(
            message_id=message_id, content_type="text/plain", body=b"hi", success_report=success_report
        )
        self.outbox.add(message, cast(MediaLine, line))

    def send_all(self, line: Line) -> None:
        self.outbox.send_all(cast(MediaLine, line))


def test_a_report_over_all_octets_says_delivered_whether_a_relay_is_on_the_path_or_not() -> None:
    for relayed in (True, False):
        under = Under()
        under.add("m1", Line())
        under.outbox.receive(DeliverySucceeded(session=SESSION, message_id="m1", total=2), relayed=relayed)
        assert under.told == [("m1", Settlement.DELIVERED, 200, "")]


def test_the_next_hops_200_says_delivered_only_when_it_is_the_peers() -> None:
    relayed, direct = Under(), Under()
    for under, is_relayed in ((relayed, True), (direct, False)):
        under.add("m1", Line())
        under.outbox.receive(MessageAccepted(session=SESSION, message_id="m1"), relayed=is_relayed)
    assert relayed.told == []
    assert direct.told == [("m1", Settlement.DELIVERED, 200, "")]


def test_through_a_relay_and_without_a_report_nobody_knows() -> None:
    under = Under()
    under.add("m1", Line(), success_report=False)
    under.outbox.receive(MessageAccepted(session=SESSION, message_id="m1"), relayed=True)
    assert [outcome[1] for outcome in under.told] == [Settlement.UNCONFIRMED]


@pytest.mark.parametrize(
    ("status", "settlement"),
    [(408, Settlement.UNCONFIRMED), (413, Settlement.FAILED), (415, Settlement.FAILED), (481, Settlement.FAILED)],
)
def test_a_refusal_says_failed_and_a_timeout_further_on_that_it_may_be_there(
    status: int, settlement: Settlement
) -> None:
    under = Under()
    under.add("m1", Line())
    failed = DeliveryFailed(session=SESSION, message_id="m1", status=status, comment="why", byte_range=None)
    under.outbox.receive(failed, relayed=True)
    assert under.told == [("m1", settlement, status, "why")]


def test_what_was_on_its_way_when_a_connection_was_lost_is_sent_again_in_order_under_the_same_ids() -> None:
    under, first, second = Under(), Line(), Line()
    for message_id in ("m1", "m2", "m3"):
        under.add(message_id, first)
    under.outbox.receive(DeliverySucceeded(session=SESSION, message_id="m2", total=2), relayed=True)
    lost = DeliveryFailed(session=SESSION, message_id="m1", status=None, comment="connection lost", byte_range=None)
    under.outbox.receive(lost, relayed=True)
    under.outbox.receive(DeliveryUnconfirmed(session=SESSION, message_id="m3"), relayed=True)
    under.outbox.connection_lost()
    under.send_all(second)
    under.send_all(second)
    assert second.client.sent == ["m1", "m3"]
    assert [outcome[0] for outcome in under.told] == ["m2"]


def test_nothing_overtakes_what_waits_for_a_connection_that_is_there_already() -> None:
    under, line = Under(), Line()
    under.add("m1", Line(up=False))
    under.add("m2", line)
    under.add("m3", line)
    under.send_all(line)
    assert line.client.sent == ["m1", "m2", "m3"]


def test_what_is_sent_on_the_next_connection_before_anybody_tells_of_it_stays_behind_what_is_sent_again() -> None:
    under, second = Under(), Line()
    under.add("m1", Line())
    under.outbox.connection_lost()
    under.add("m2", second)
    assert second.client.sent == ["m1", "m2"]


def test_at_the_end_what_may_have_left_is_unconfirmed_and_what_never_left_has_failed() -> None:
    under = Under()
    under.add("m1", Line())
    under.add("m2", Line(up=False))
    under.outbox.end("over")
    under.outbox.end("over")
    assert under.told == [("m1", Settlement.UNCONFIRMED, 0, "over"), ("m2", Settlement.FAILED, 0, "over")]


def test_only_what_never_left_can_be_withdrawn() -> None:
    under, line = Under(), Line()
    under.add("m1", line)
    under.add("m2", None)
    assert not under.outbox.withdraw("m1", cast(MediaLine, line))
    assert under.outbox.withdraw("m2", cast(MediaLine, line))
    assert not under.outbox.withdraw("m2", cast(MediaLine, line))
    assert line.client.aborted == ["m1"]
    assert under.told == []


def test_one_message_id_is_on_its_way_once() -> None:
    under = Under()
    under.add("m1", Line())
    with pytest.raises(ConflictError, match="m1"):
        under.add("m1", Line())


def test_what_can_not_be_sent_has_failed_unless_some_of_it_left_before() -> None:
    class Broken(Client):
        def send_message(self, session: Session, *args: object, **more: object) -> str:
            raise LocalProtocolError("it would break the grammar")

    broken = Line()
    broken.client = Broken()
    never, before = Under(), Under()
    never.add("m1", broken)
    assert never.told == [("m1", Settlement.FAILED, 0, "it would break the grammar")]
    before.add("m1", Line())
    before.outbox.connection_lost()
    before.send_all(broken)
    assert before.told == [("m1", Settlement.UNCONFIRMED, 0, "it would break the grammar")]
