"""Whether the gateway kept its promise, judged by users of both kinds, the ledger's rows and the events on the bus.

The promise (DESIGN.md section 6): every message that was acknowledged (202 or 200 to a MESSAGE, 200 to a SEND) ends in
exactly one final state, which is on the bus once and which its sender is told: a page-mode user of what went wrong,
by a notice; a session-mode user by a REPORT. ``delivered`` was shown once, ``failed`` and ``expired`` were not. Order
is kept from each sender to each receiver (``message_order``). On the wire a message may come again only if something
was done to a pod or a server while it was on its way.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from .evidence import Kind, Violation
from .message_evidence import Message, MessageEvidence, shown
from .message_order import Order
from .message_recording import MessageRecording, PageReceived, TalkReceived, TalkSent
from .verification import Verdict

_SHOWN: Final = frozenset(("delivered", "displayed"))
_BAD: Final = frozenset(("failed", "unconfirmed", "expired"))
_FINAL: Final = _SHOWN | _BAD
_NOT_SHOWN: Final = frozenset(("failed", "expired"))


def verify_messages(recordings: Sequence[MessageRecording]) -> Verdict:
    """Judge a run.

    Args:
        recordings: Those of all users, the archivist, and of whoever disturbed pods and servers.
    """
    evidence = MessageEvidence(recordings)
    violations = list(evidence.violations)
    for key, message in evidence.messages.items():
        violations += _strangers(key, message)
        violations += _accepted(key, message)
        if message.rows:
            violations += _settled(key, message)
            violations += _received(key, message)
            violations += _page_told(key, message)
        violations += _talk_told(key, message)
        violations += _repeated(evidence, key, message)
    violations += _reordered(evidence)
    violations += _skipped(evidence)
    return Verdict(_counts(evidence), tuple(violations))


def _strangers(key: str, message: Message) -> Iterator[Violation]:
    if len(message.sent) != 1:
        kind = Kind.RECORDING if message.sent else Kind.INVENTED
        yield Violation(kind, f"{key} was sent {len(message.sent)} times", message.entries)
        return
    sent = message.sent[0]
    if {one.digest for one in [*message.rows, *message.received]} - {sent.digest}:
        yield Violation(Kind.DAMAGED, f"{key} has another body", message.entries)
    if any(one.sequence != sent.sequence for one in message.received):
        yield Violation(Kind.DAMAGED, f"{key} has another number", message.entries)
    if any(one.user != sent.to for one in message.received):
        yield Violation(Kind.INVENTED, f"{key} came to somebody else than {sent.to}", message.entries)
    if any(one.user != sent.user for one in message.told):
        yield Violation(Kind.INVENTED, f"somebody else than {sent.user} is told of {key}", message.entries)


def _accepted(key: str, message: Message) -> Iterator[Violation]:
    if _is_from_session(message):
        outcomes, acknowledged = len(message.settled), any(one.outcome == "delivered" for one in message.settled)
    else:
        outcomes, acknowledged = len(message.answered), any(_is_success(one.status) for one in message.answered)
    if outcomes != 1:
        text = f"{key} has {outcomes} outcomes at its sender"
        yield Violation(Kind.DOUBLED if outcomes else Kind.UNANSWERED, text, message.entries)
    if len(message.rows) > 1:
        yield Violation(Kind.DOUBLED, f"{key} is in the ledger {len(message.rows)} times", message.entries)
    # A MESSAGE to somebody whose device takes it is not kept, but nobody of this run is one.
    if not message.rows and (acknowledged or message.received):
        yield Violation(Kind.LOST, f"{key} is not in the ledger", message.entries)


def _settled(key: str, message: Message) -> Iterator[Violation]:
    state = message.rows[0].state
    if state not in _FINAL:
        yield Violation(Kind.UNANSWERED, f"{key} has no outcome", message.entries)
    states = Counter({one.event_id: one.state for one in message.states}.values())
    if states.pop("accepted", 0) != 1:
        yield Violation(Kind.LOST, f"that {key} was accepted is not on the bus, or twice", message.entries)
    told = Counter({name: times for name, times in states.items() if name in _FINAL})
    expected = Counter(("delivered", "displayed")) if state == "displayed" else Counter((state,))
    if told != expected:
        text = f"{key} is {state}, and on the bus are {dict(told) or 'nothing'}"
        yield Violation(Kind.DOUBLED if told - expected else Kind.LOST, text, message.entries)


def _received(key: str, message: Message) -> Iterator[Violation]:
    state = message.rows[0].state
    if state in _SHOWN and not message.shown:
        yield Violation(Kind.LOST, f"{key} is {state} and nobody has it", message.entries)
    if state in _NOT_SHOWN and message.shown:
        yield Violation(Kind.INVENTED, f"{key} is {state} and was shown", message.entries)
    if len(message.received) > 1:
        yield Violation(Kind.DOUBLED, f"{key} came as {len(message.received)} messages", message.entries)


def _page_told(key: str, message: Message) -> Iterator[Violation]:
    if _is_from_session(message):
        return
    state = message.rows[0].state
    if len(message.told) > 1:
        yield Violation(Kind.DOUBLED, f"its sender is told of {key} {len(message.told)} times", message.entries)
    if state in _BAD and not message.told and not _notice_went_wrong(message):
        yield Violation(Kind.LOST, f"{key} is {state} and its sender is not told", message.entries)
    if state in _SHOWN and message.told:
        yield Violation(Kind.INVENTED, f"{key} is {state}, and its sender is told of a failure", message.entries)
    if len(message.notices) > (1 if state in _BAD else 0):
        yield Violation(Kind.DOUBLED, f"{len(message.notices)} notices on {key}, which is {state}", message.entries)


def _notice_went_wrong(message: Message) -> bool:
    """Tell whether the notice itself may have been lost with a connection: nobody is told of notices."""
    return any(one.state in _BAD for one in message.notices)


def _talk_told(key: str, message: Message) -> Iterator[Violation]:
    if not _is_from_session(message):
        return
    state = message.rows[0].state if message.rows else ""
    for settled in message.settled:
        # What its session's end left open is unconfirmed to its sender, whatever became of it.
        if settled.outcome == "delivered" and state not in _SHOWN:
            yield Violation(Kind.INVENTED, f"{key} is {state or 'nowhere'}, and reported delivered", message.entries)
        if settled.outcome == "failed" and state in _SHOWN:
            yield Violation(Kind.INVENTED, f"{key} is {state}, and reported failed", message.entries)


def _repeated(evidence: MessageEvidence, key: str, message: Message) -> Iterator[Violation]:
    began = min((one.time for one in message.sent), default=0.0)
    if any(not evidence.disturbed(began, again.time) for again in message.repeated):
        yield Violation(Kind.DOUBLED, f"{key} came again although nothing was done to a pod", message.entries)


def _reordered(evidence: MessageEvidence) -> Iterator[Violation]:
    orders: defaultdict[tuple[str, str], Order] = defaultdict(Order)
    for recording in evidence.recordings:
        for record in recording.records:
            if not isinstance(record, PageReceived | TalkReceived):
                continue
            message = evidence.messages[record.key]
            if record not in message.shown or not message.sent:
                continue
            before = orders[message.sent[0].user, record.user].shown(message, record)
            if before is not None:
                text = f"{record.key} was shown to {record.user} after {before.key}"
                yield Violation(Kind.REORDERED, text, (shown(before), shown(record)))


def _skipped(evidence: MessageEvidence) -> Iterator[Violation]:
    """Numbers that are missing: what was not recorded can't be judged."""
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for message in evidence.messages.values():
        for sent in message.sent:
            numbers[f"from {sent.user} to {sent.to}"].append(sent.sequence)
    for place, found in numbers.items():
        if sorted(found) != list(range(1, len(found) + 1)):
            yield Violation(Kind.RECORDING, f"messages {place} are not numbered without gaps")


def _counts(evidence: MessageEvidence) -> dict[str, int]:
    messages = evidence.messages.values()
    counts = {
        "recordings": len(evidence.recordings),
        "disturbances": len(evidence.disturbances),
        "sent": sum(bool(one.sent) for one in messages),
        "acknowledged": sum(bool(one.rows) for one in messages),
        "came again": sum(len(one.repeated) for one in messages),
        "told of failures": sum(bool(one.told) for one in messages),
        "notices lost": sum(not one.told and _notice_went_wrong(one) for one in messages),
        "unconfirmed, but shown": sum(_is(one, "unconfirmed") and bool(one.shown) for one in messages),
    }
    states = Counter(f"{one.rows[0].way} {one.rows[0].state}" for one in messages if one.rows)
    outcomes = Counter(f"reported {settled.outcome}" for one in messages for settled in one.settled)
    answers = Counter(f"answered {answer.status}" for one in messages for answer in one.answered)
    return {**counts, **dict(sorted(states.items())), **dict(sorted(outcomes.items())), **dict(sorted(answers.items()))}


def _is(message: Message, state: str) -> bool:
    return bool(message.rows) and message.rows[0].state == state


def _is_success(status: int) -> bool:
    return 200 <= status < 300


def _is_from_session(message: Message) -> bool:
    return any(isinstance(one, TalkSent) for one in message.sent)
