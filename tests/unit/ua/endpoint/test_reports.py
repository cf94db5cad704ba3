"""REPORTs on messages of the peer, which nothing answers."""

from typing import Any, cast

import pytest

from wigwag.errors import LocalProtocolError
from wigwag.protocols.msrp import ByteRange, MsrpUri, Path, Session, Status
from wigwag.ua.endpoint.line import MediaLine
from wigwag.ua.endpoint.model import OutgoingReport
from wigwag.ua.endpoint.reports import Reports

RELAY, PEER = (MsrpUri.parse(f"msrp://{host}:2855/s;tcp") for host in ("relay.example", "peer.example"))
SESSION = Session(local_uri=MsrpUri.parse("msrp://agents.invalid:9/s;tcp"), remote_path=(RELAY, PEER))


class Client:
    def __init__(self) -> None:
        self.sent: list[tuple[str, Path, ByteRange | None, Status]] = []

    def send_report(
        self, session: Session, message_id: str, to_path: Path, byte_range: ByteRange | None, status: Status
    ) -> None:
        if status.comment is not None and "\n" in status.comment:
            raise LocalProtocolError("not a comment")
        self.sent.append((message_id, to_path, byte_range, status))


class Line:
    """A line that is up or not."""

    def __init__(self, *, up: bool = True) -> None:
        self.client = Client()
        self.session = SESSION
        self.is_up = up


def line(*, up: bool = True) -> Any:
    return cast(MediaLine, Line(up=up))


def report(name: str = "m1", status: int = 200, comment: str = "") -> OutgoingReport:
    return OutgoingReport(message_id=name, octets=5, status=status, comment=comment)


def names(of: Any) -> list[str]:
    return [sent[0] for sent in of.client.sent]


def test_a_report_goes_the_way_that_the_message_came_and_is_about_all_of_it() -> None:
    made, up = Reports(), line()
    made.add(report(status=413, comment="too large"), up)
    assert up.client.sent == [("m1", (RELAY, PEER), ByteRange(1, 5, 5), Status(413, "too large"))]


def test_a_comment_that_msrp_can_not_carry_is_left_out() -> None:
    made, up = Reports(), line()
    made.add(report(status=403, comment="a\nb"), up)
    assert up.client.sent == [("m1", (RELAY, PEER), ByteRange(1, 5, 5), Status(403))]


@pytest.mark.parametrize("down", [None, line(up=False)])
def test_without_a_connection_reports_wait_in_order(down: Any) -> None:
    made, up = Reports(), line()
    for name in ("m1", "m2"):
        made.add(report(name), down)
    assert len(made) == 2
    made.add(report("m3"), up)
    made.send_all(up)
    assert names(up) == ["m1", "m2", "m3"]
    assert len(made) == 0


def test_the_last_reports_of_a_lost_connection_are_sent_again_before_later_ones() -> None:
    made, first, second = Reports(), line(), line()
    for number in range(100):
        made.add(report(f"m{number}"), first)
    made.connection_lost()
    made.add(report("later"), None)
    made.send_all(second)
    assert names(second) == [*(f"m{number}" for number in range(36, 100)), "later"]
    made.connection_lost()
    assert len(made) == 64


def test_so_many_wait_and_no_more() -> None:
    made = Reports()
    for number in range(1_500):
        made.add(report(f"m{number}"), None)
    assert len(made) == 1_000
