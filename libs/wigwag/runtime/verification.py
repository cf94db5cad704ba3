"""Whether a relay kept its promise, judged by the recordings of the endpoints around it and by nothing else.

The promise (Failure-Report yes): each SEND answered 200 reaches the receiver, or failure REPORTs cover what is missing,
or the sender's connection was lost after it was sent. Beside it: nothing is received twice, except what the sender
itself repeated; nothing is received after what its sender sent later, or that nobody sent; everything is answered as
long as the connection lives. Partial and no promise less (RFC 4976 section 6.4.1): what is missing is only counted.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from wigwag.protocols.msrp import FailureReport, OctetRanges

from .evidence import Entry, Evidence, Kind, Message, MessageKey, Send, Violation
from .recording import Lost, Received, Recording

_TO_THE_END = 1 << 62


class Outcome(Enum):
    """What became of one SEND."""

    DELIVERED = "delivered"
    REPORTED = "reported as failed"
    BOTH = "delivered and reported as failed"
    """Allowed: who reports may not know that the octets arrived."""
    REFUSED = "refused"
    CUT_OFF = "answered, then the connection was lost"
    """The only way in which a message that was answered 200 may vanish."""
    UNKNOWN = "connection lost before the answer"
    UNPROMISED = "missing, but nothing was promised"
    LOST = "lost"
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the verifier found.

    Args:
        counts: How often what happened.
        violations: Each broken promise with its evidence.
    """

    counts: dict[str, int]
    violations: tuple[Violation, ...]

    @property
    def kept(self) -> bool:
        """Whether every promise was kept."""
        return not self.violations


def verify(recordings: Sequence[Recording], *, allow_unfinished: bool = False) -> Verdict:
    """Judge a run.

    Args:
        recordings: Those of all endpoints of the run.
        allow_unfinished: Whether an endpoint may have been killed; its connections count as lost then.
    """
    evidence = Evidence(recordings, allow_unfinished=allow_unfinished)
    violations = list(evidence.violations)
    outcomes: Counter[Outcome] = Counter()
    for key, message in evidence.messages.items():
        violations += _strangers(key, message)
        violations += _doubled(message)
        for send in message.sends:
            outcome = _outcome(evidence, message, send)
            outcomes[outcome] += 1
            violations += _judged(outcome, message, send)
    violations += _reordered(evidence)
    return Verdict(_counts(evidence, outcomes), tuple(violations))


def _outcome(evidence: Evidence, message: Message, send: Send) -> Outcome:
    sent = send.sent.record
    arrived, told = _arrived(message, send), _told(message, send)
    if send.answer is not None and not 200 <= send.answer.record.status < 300:
        return Outcome.REFUSED
    if sent.failure_report is FailureReport.YES and send.answer is None and not _was_cut_off(evidence, send):
        return Outcome.UNANSWERED
    if arrived:
        return Outcome.BOTH if told else Outcome.DELIVERED
    if told:
        return Outcome.REPORTED
    if sent.failure_report is not FailureReport.YES:
        return Outcome.UNPROMISED
    if send.answer is None:
        return Outcome.UNKNOWN
    return Outcome.CUT_OFF if _was_cut_off(evidence, send) else Outcome.LOST


def _arrived(message: Message, send: Send) -> bool:
    sent = send.sent.record
    if sent.end < sent.start:
        return bool(message.received)
    return _received_octets(message).covers(sent.start, sent.end)


def _told(message: Message, send: Send) -> bool:
    """Whether failure REPORTs cover all that did not arrive, and at least something."""
    sent = send.sent.record
    failures = [report.record for report in message.reports if not 200 <= report.record.status < 300]
    if sent.end < sent.start:
        return bool(failures)
    octets, hit = _received_octets(message), False
    for failure in failures:
        end = _TO_THE_END if failure.end is None else failure.end
        octets.add(failure.start, end)
        hit = hit or (failure.start <= sent.end and end >= sent.start)
    return hit and octets.covers(sent.start, sent.end)


def _received_octets(message: Message) -> OctetRanges:
    octets = OctetRanges()
    for entry in message.received:
        octets.add(entry.record.start, entry.record.end)
    return octets


def _was_cut_off(evidence: Evidence, send: Send) -> bool:
    """Whether the connection was lost under the SEND. One that the sender gave up was not: the relay owed an answer."""
    life = evidence.lives.get(send.sent.record.connection)
    if life is None or life.ended is None:
        return life is not None
    end = life.ended.record
    return isinstance(end, Lost) and end.cause != "gave up"


def _judged(outcome: Outcome, message: Message, send: Send) -> Iterator[Violation]:
    sent = send.sent.record
    if outcome is Outcome.LOST:
        text = f"{sent.message_id} ({sent.start}-{sent.end}) was answered 200 and is neither received nor reported"
        seen = (send.sent, send.answer, *message.received, *message.reports)
        yield Violation(Kind.LOST, text, tuple(str(entry) for entry in seen if entry is not None))
    elif outcome is Outcome.UNANSWERED:
        text = f"{sent.message_id} ({sent.start}-{sent.end}) was never answered, and its connection lived on"
        yield Violation(Kind.UNANSWERED, text, (str(send.sent),))


def _strangers(key: MessageKey, message: Message) -> Iterator[Violation]:
    """What was received or reported without having been sent so."""
    sends = [send.sent for send in message.sends]
    for report in message.reports:
        if not sends:
            yield Violation(Kind.UNASKED, f"a REPORT about {key[1]}, which was not sent", (str(report),))
    for entry in message.received:
        got = entry.record
        around = [sent for sent in sends if sent.record.start <= got.start and got.end <= sent.record.end]
        same = [sent for sent in around if (sent.record.start, sent.record.end) == (got.start, got.end)]
        if not any(sent.record.receiver == got.receiver for sent in around):
            text = f"{got.receiver} received {key[1]} ({got.start}-{got.end}), which was not sent to it"
            yield Violation(Kind.INVENTED, text, (*map(str, sends), str(entry)))
        elif any(sent.record.digest != got.digest for sent in same) or around[0].record.sequence != got.sequence:
            yield Violation(Kind.DAMAGED, f"{key[1]} arrived with other octets", (*map(str, same), str(entry)))


def _doubled(message: Message) -> Iterator[Violation]:
    seen: list[Entry[Received]] = []
    for entry in message.received:
        seen.append(entry)
        start = entry.record.start
        times = [other for other in seen if _holds(other.record.start, other.record.end, start)]
        allowed = [send for send in message.sends if _holds(send.sent.record.start, send.sent.record.end, start)]
        if len(times) > len(allowed) > 0:
            text = f"{entry.record.message_id} was received {len(times)} times and sent {len(allowed)} times"
            yield Violation(Kind.DOUBLED, text, tuple(map(str, times)))


def _holds(start: int, end: int, octet: int) -> bool:
    return start == octet or start <= octet <= end


def _reordered(evidence: Evidence) -> Iterator[Violation]:
    """Compare first octets only: later ones of a long chunk may be overtaken."""
    places = _places(evidence)
    furthest: dict[tuple[str, str], tuple[int, Entry[Received]]] = {}
    for recording in evidence.recordings:
        for record in recording.records:
            if not isinstance(record, Received):
                continue
            place = places.get((record.sender, record.message_id, record.start))
            if place is None:
                continue
            entry, direction = Entry(recording.name, record), (record.sender, record.receiver)
            last = furthest.get(direction)
            if last is not None and place < last[0]:
                yield _overtaken(evidence, last[1], entry)
            else:
                furthest[direction] = (place, entry)


def _overtaken(evidence: Evidence, first: Entry[Received], second: Entry[Received]) -> Violation:
    sends = [evidence.messages[one.record.sender, one.record.message_id].sends[0].sent for one in (second, first)]
    text = f"{second.record.message_id} was received after {first.record.message_id}, which was sent later"
    if sends[0].record.connection != sends[1].record.connection:
        text += " over another connection"
    return Violation(Kind.REORDERED, text, tuple(map(str, (*sends, first, second))))


def _places(evidence: Evidence) -> dict[tuple[str, str, int], int]:
    """Return where in its sender's recording each chunk was sent; what was repeated may come at any time."""
    return {
        (send.sent.record.sender, send.sent.record.message_id, send.sent.record.start): send.sent.record.number
        for message in evidence.messages.values()
        if not any(send.sent.record.repeated for send in message.sends)
        for send in message.sends
    }


def _counts(evidence: Evidence, outcomes: Counter[Outcome]) -> dict[str, int]:
    ends = [life.ended.record if life.ended is not None else None for life in evidence.lives.values()]
    messages = evidence.messages.values()
    counts = {
        "recordings": len(evidence.recordings),
        "connections": len(evidence.lives),
        "connections lost": sum(isinstance(end, Lost) and end.cause == "peer" for end in ends),
        "connections given up": sum(isinstance(end, Lost) and end.cause == "gave up" for end in ends),
        "connections left": sum(isinstance(end, Lost) and end.cause == "left" for end in ends),
        "connections cut with their endpoint": sum(end is None for end in ends),
        "clients set up again": _set_up_again(evidence),
        "sent": sum(len(message.sends) for message in messages),
        "repeated by the sender": sum(send.sent.record.repeated for message in messages for send in message.sends),
        "received": sum(len(message.received) for message in messages),
        "received though refused": sum(map(_refused_yet_received, messages)),
    }
    return counts | {outcome.value: outcomes[outcome] for outcome in Outcome}


def _refused_yet_received(message: Message) -> bool:
    refused = any(send.answer is not None and send.answer.record.status >= 300 for send in message.sends)
    return refused and bool(message.received)


def _set_up_again(evidence: Evidence) -> int:
    """Count connections on which a client got another path than before: its peer has to be told, by a re-INVITE."""
    paths: dict[str, str] = {}
    changes = 0
    for life in evidence.lives.values():
        opened = life.opened.record
        changes += paths.get(opened.client, opened.path) != opened.path
        paths[opened.client] = opened.path
    return changes
