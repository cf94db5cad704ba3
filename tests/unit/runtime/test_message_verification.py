"""Whether broken promises of the gateway are found in what both sides, the ledger and the bus say."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from wigwag.runtime.edge_recording import Disturbed
from wigwag.runtime.evidence import Kind
from wigwag.runtime.message_recording import (
    MessageFound,
    MessageRecord,
    MessageRecording,
    NoticeFound,
    PageAnswered,
    PageReceived,
    PageSent,
    PageTold,
    StateTold,
    TalkReceived,
    TalkRepeated,
    TalkSent,
    TalkSettled,
)
from wigwag.runtime.message_verification import verify_messages
from wigwag.runtime.recording import Finished, Started


def made(kind: Any, **fields: Any) -> Any:
    return kind(number=0, time=0.0, **fields)


def told(key: str, *states: str) -> list[MessageRecord]:
    return [
        made(StateTold, event_id=f"row {key}:{version}", message_id=f"row {key}", state=state)
        for version, state in enumerate(states, 1)
    ]


def world() -> dict[str, list[MessageRecord]]:
    """Return a run in which every promise is kept: two messages each way delivered, one each way not."""
    pages: list[MessageRecord] = []
    talks: list[MessageRecord] = []
    archive: list[MessageRecord] = []
    for number in (1, 2, 3):
        page, talk, state = f"p.{number}", f"c.{number}", "delivered" if number < 3 else "failed"
        pages.append(made(PageSent, user="p", to="c", key=page, sequence=number, digest=page))
        pages.append(made(PageAnswered, user="p", key=page, status=202))
        talks.append(made(TalkSent, user="c", to="p", key=talk, sequence=number, digest=talk, session="s"))
        status = 200 if number < 3 else 603
        pages.append(made(PageReceived, user="p", key=talk, sequence=number, digest=talk, status=status))
        if number < 3:
            talks.append(made(TalkReceived, user="c", key=page, sequence=number, digest=page))
        talks.append(made(TalkSettled, user="c", key=talk, outcome=state, status=200 if number < 3 else 403))
        for way, key in (("to session", page), ("to page", talk)):
            archive.append(made(MessageFound, message_id=f"row {key}", way=way, key=key, state=state, digest=key))
            archive += told(key, "accepted", state)
    pages.append(made(PageTold, user="p", key="p.3"))
    archive.append(made(NoticeFound, message_id="row p.3.delivery", key="p.3", state="delivered"))
    return {"pages": pages, "talks": talks, "archive": archive}


def recordings(run: dict[str, list[MessageRecord]]) -> list[MessageRecording]:
    return [MessageRecording(name, numbered(records)) for name, records in run.items()]


def numbered(records: Sequence[MessageRecord]) -> tuple[MessageRecord, ...]:
    framed: list[MessageRecord] = [made(Started), *records, made(Finished)]
    return tuple(msgspec.structs.replace(record, number=number) for number, record in enumerate(framed, 1))


def kinds(run: dict[str, list[MessageRecord]]) -> set[Kind]:
    return {violation.kind for violation in verify_messages(recordings(run)).violations}


def test_a_run_without_broken_promises_is_found_good() -> None:
    verdict = verify_messages(recordings(world()))
    assert verdict.kept, verdict.violations
    assert verdict.counts["acknowledged"] == 6


PLACES = [(name, index) for name, records in world().items() for index in range(len(records))]


@pytest.mark.parametrize(("name", "index"), PLACES)
def test_each_record_that_is_missing_is_found_out(name: str, index: int) -> None:
    run = world()
    record = run[name].pop(index)
    if isinstance(record, NoticeFound) or (isinstance(record, PageReceived) and record.status >= 300):
        return  # Who was told needs no row that says so, and what was not shown may fail for any reason.
    assert kinds(run)


@pytest.mark.parametrize(("name", "index"), PLACES)
def test_each_record_that_stands_twice_is_found_out_unless_it_is_an_event(name: str, index: int) -> None:
    run = world()
    record = run[name][index]
    run[name].insert(index, record)
    assert bool(kinds(run)) is not isinstance(record, StateTold)


def test_messages_that_were_shown_in_another_order_are_found_out() -> None:
    run = world()
    first, second = (index for index, record in enumerate(run["talks"]) if isinstance(record, TalkReceived))
    run["talks"][first], run["talks"][second] = run["talks"][second], run["talks"][first]
    assert kinds(run) == {Kind.REORDERED}


def shown_later(*, session: str, accepted_first: bool) -> set[Kind]:
    """Return what is found wrong when what was said first is shown behind what was said after it.

    Args:
        session: In which the other message was said.
        accepted_first: Whether the first was accepted first.
    """
    run = world()
    talks, pages, archive = run["talks"], run["pages"], run["archive"]
    first, second = (index for index, one in enumerate(pages) if isinstance(one, PageReceived) and one.status == 200)
    pages[first], pages[second] = pages[second], pages[first]
    said = [one for one in talks if isinstance(one, TalkSent)]
    talks[talks.index(said[1])] = msgspec.structs.replace(said[1], session=session)
    if not accepted_first:
        row = next(one for one in archive if isinstance(one, MessageFound) and one.way == "to page")
        archive.remove(row)
        archive.append(row)
    return kinds(run)


def test_what_was_said_in_the_next_session_and_accepted_first_may_be_shown_first() -> None:
    assert not shown_later(session="next", accepted_first=False)


def test_what_was_said_in_the_next_session_and_accepted_later_may_not_be_shown_first() -> None:
    assert shown_later(session="next", accepted_first=True) == {Kind.REORDERED}


@pytest.mark.parametrize("accepted_first", [True, False])
def test_what_was_said_later_in_the_same_session_may_not_be_shown_first(accepted_first: bool) -> None:
    assert shown_later(session="s", accepted_first=accepted_first) == {Kind.REORDERED}


def test_a_message_with_another_body_is_found_out() -> None:
    run = world()
    index = next(index for index, record in enumerate(run["talks"]) if isinstance(record, TalkReceived))
    run["talks"][index] = msgspec.structs.replace(run["talks"][index], digest="other")
    assert kinds(run) == {Kind.DAMAGED}


def test_a_state_told_that_the_ledger_does_not_have_is_found_out() -> None:
    run = world()
    run["archive"] += [made(StateTold, event_id="row p.1:3", message_id="row p.1", state="failed")]
    assert kinds(run) == {Kind.DOUBLED}


def test_a_message_may_come_again_on_the_wire_only_when_something_was_done_meanwhile() -> None:
    run = world()
    run["talks"].append(made(TalkRepeated, user="c", key="p.1"))
    assert kinds(run) == {Kind.DOUBLED}
    run["disturbances"] = [made(Disturbed, began=-1.0, what="kill")]
    assert not kinds(run)


def test_a_report_of_success_that_is_not_true_is_found_out() -> None:
    run = world()
    index = next(
        index for index, record in enumerate(run["talks"]) if isinstance(record, TalkSettled) and record.key == "c.3"
    )
    run["talks"][index] = msgspec.structs.replace(run["talks"][index], outcome="delivered")
    assert kinds(run) == {Kind.INVENTED}
