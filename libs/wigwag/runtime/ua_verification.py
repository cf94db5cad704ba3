"""Whether the user agent kept its promise, judged by callers, SIP users, the ledger's rows and the events on the bus.

The promise (DESIGN.md section 7, 10): what an application was acknowledged ends in exactly one state, which it is told
once; ``delivered`` was shown to the SIP user, ``failed`` and ``expired`` were not, and nothing is shown twice. What a
SIP user was answered is told to the application once. Order is kept within a session, either way. On the wire a message
may come again only if something was done to a pod while it was on its way. Sessions end only when somebody ends them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from .evidence import Kind, Violation
from .ua_evidence import Inbound, Outbound, UaEvidence, shown
from .ua_recording import ChatReceived, MessageTold, UaRecording
from .verification import Verdict

_FINAL: Final = frozenset(("delivered", "displayed", "failed", "unconfirmed", "expired"))
_SHOWN: Final = frozenset(("delivered", "displayed"))
_NOT_SHOWN: Final = frozenset(("failed", "expired"))


def verify_ua(recordings: Sequence[UaRecording]) -> Verdict:
    """Judge a run.

    Args:
        recordings: Those of all callers, SIP users, the archivist, and of whoever disturbed the pods.
    """
    evidence = UaEvidence(recordings)
    violations = list(evidence.violations)
    for key, message in evidence.outbound.items():
        violations += _strangers(evidence, key, message)
        violations += _settled(key, message)
        violations += _shown(evidence, key, message)
    for key, inbound in evidence.inbound.items():
        violations += _inbound(key, inbound)
    violations += _inbound_rows(evidence)
    violations += _reordered(evidence)
    violations += _skipped(evidence)
    violations += _sessions(evidence)
    return Verdict(_counts(evidence), tuple(violations))


def _strangers(evidence: UaEvidence, key: str, message: Outbound) -> Iterator[Violation]:
    offered = message.offered
    if offered is None:
        yield Violation(Kind.INVENTED, f"{key} was not sent by any application", message.entries)
        return
    digests = {row.digest for row in message.rows} | {one.digest for one in message.received}
    if digests - {offered.digest}:
        yield Violation(Kind.DAMAGED, f"{key} has another body", message.entries)
    if any(one.sequence != offered.sequence for one in message.received):
        yield Violation(Kind.DAMAGED, f"{key} has another number", message.entries)
    user = evidence.users.get(offered.session)
    if any(one.user != user for one in message.received):
        yield Violation(Kind.INVENTED, f"{key} was shown to somebody else than {user}", message.entries)


def _settled(key: str, message: Outbound) -> Iterator[Violation]:
    if len(message.accepted) > 1:
        yield Violation(Kind.DOUBLED, f"{key} was acknowledged twice", message.entries)
    if not message.accepted and message.offered is not None:
        yield Violation(Kind.UNANSWERED, f"{key} was not acknowledged", message.entries)
    if not message.rows:
        if message.accepted or message.received:
            yield Violation(Kind.LOST, f"{key} is not in the ledger", message.entries)
        return
    if len(message.rows) > 1:
        yield Violation(Kind.DOUBLED, f"{key} is in the ledger {len(message.rows)} times", message.entries)
    state = message.rows[0].state
    if state not in _FINAL:
        yield Violation(Kind.UNANSWERED, f"{key} has no outcome", message.entries)
    by_id = {one.event_id: one.state for one in message.told}
    counts = Counter(by_id.values())
    if counts.pop("accepted", 0) != 1:
        yield Violation(Kind.LOST, f"that {key} was accepted is not told, or twice", message.entries)
    told = Counter({told: times for told, times in counts.items() if told in _FINAL})
    expected = Counter(("delivered", "displayed")) if state == "displayed" else Counter((state,))
    if told != expected:
        text = f"{key} is {state}, and told were {dict(told) or 'nothing'}"
        yield Violation(Kind.DOUBLED if told - expected else Kind.LOST, text, message.entries)


def _shown(evidence: UaEvidence, key: str, message: Outbound) -> Iterator[Violation]:
    state = message.rows[0].state if message.rows else ""
    if state in _SHOWN and not message.received:
        yield Violation(Kind.LOST, f"{key} is {state} and nobody has it", message.entries)
    if state in _NOT_SHOWN and message.received:
        yield Violation(Kind.INVENTED, f"{key} is {state} and was shown", message.entries)
    if len(message.received) > 1:
        yield Violation(Kind.DOUBLED, f"{key} was shown {len(message.received)} times", message.entries)
    began = message.offered.time if message.offered is not None else 0.0
    if any(not evidence.disturbed(began, again.time) for again in message.repeated):
        text = f"{key} came again although nothing was done to a pod"
        yield Violation(Kind.DOUBLED, text, message.entries)


def _inbound(key: str, message: Inbound) -> Iterator[Violation]:
    sent, told = message.sent, {one.event_id: one for one in message.told}
    if sent is None:
        yield Violation(Kind.INVENTED, f"{key} was not sent by any user", message.entries)
        return
    if len(message.settled) != 1:
        text = f"{key} has {len(message.settled)} outcomes at its sender"
        yield Violation(Kind.DOUBLED if message.settled else Kind.UNANSWERED, text, message.entries)
    elif message.settled[0].outcome == "delivered" and not told:
        yield Violation(Kind.LOST, f"{key} was answered 200 and not told", message.entries)
    if len(told) > 1:
        yield Violation(Kind.DOUBLED, f"{key} is told as {len(told)} messages", message.entries)
    if any((one.digest, one.sequence) != (sent.digest, sent.sequence) for one in told.values()):
        yield Violation(Kind.DAMAGED, f"{key} is told with another body", message.entries)


def _inbound_rows(evidence: UaEvidence) -> Iterator[Violation]:
    rows = Counter(row.message_id for row in evidence.inbound_rows)
    told = {one.event_id.rpartition(":")[0] for message in evidence.inbound.values() for one in message.told}
    for message_id in rows.keys() ^ told:
        kind, text = (Kind.LOST, "is not told") if message_id in rows else (Kind.INVENTED, "is not in the ledger")
        yield Violation(kind, f"{message_id}, a user's message, {text}")
    for message_id, times in rows.items():
        if times > 1:
            yield Violation(Kind.DOUBLED, f"{message_id}, a user's message, is in the ledger {times} times")


def _reordered(evidence: UaEvidence) -> Iterator[Violation]:
    furthest: dict[str, tuple[int, str]] = {}
    seen: set[str] = set()
    for recording in evidence.recordings:
        for record in recording.records:
            if isinstance(record, ChatReceived):
                place = f"shown to {record.user}"
            elif isinstance(record, MessageTold) and record.event_id not in seen:
                seen.add(record.event_id)
                place = f"told of {record.session}"
            else:
                continue
            last = furthest.get(place)
            if last is not None and record.sequence < last[0]:
                yield Violation(Kind.REORDERED, f"{record.key} was {place} after number {last[0]}", (last[1],))
            else:
                furthest[place] = (record.sequence, shown(record))


def _skipped(evidence: UaEvidence) -> Iterator[Violation]:
    """Numbers that are missing: what was not recorded can't be judged."""
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for message in evidence.outbound.values():
        if message.offered is not None:
            numbers[f"offered in {message.offered.session}"].append(message.offered.sequence)
    for inbound in evidence.inbound.values():
        if inbound.sent is not None:
            numbers[f"sent by {inbound.sent.user}"].append(inbound.sent.sequence)
    for place, found in numbers.items():
        if sorted(found) != list(range(1, len(found) + 1)):
            yield Violation(Kind.RECORDING, f"messages {place} are not numbered without gaps")


def _sessions(evidence: UaEvidence) -> Iterator[Violation]:
    for ended in evidence.ended:
        yield Violation(Kind.HUNG_UP, f"the chat of {ended.user} is over: {ended.cause}", (shown(ended),))
    for session, user in evidence.users.items():
        if user not in evidence.opened:
            yield Violation(Kind.LOST, f"{user} is not in session {session}")
    ids: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for told in evidence.sessions_told:
        ids[told.session, told.state].add(told.event_id)
    for session in evidence.users:
        for state in ("starting", "open"):
            if not ids[session, state]:
                yield Violation(Kind.LOST, f"that session {session} is {state} is not told")
        if ids[session, "ended"]:
            yield Violation(Kind.HUNG_UP, f"session {session} is told to have ended")


def _counts(evidence: UaEvidence) -> dict[str, int]:
    outbound, inbound = evidence.outbound.values(), evidence.inbound.values()
    told = [one for message in outbound for one in message.told]
    messages_told = [one for message in inbound for one in message.told]
    counts = {
        "recordings": len(evidence.recordings),
        "sessions": len(evidence.users),
        "disturbances": len(evidence.disturbances),
        "acknowledged": sum(bool(message.accepted) for message in outbound),
        "came again": sum(len(message.repeated) for message in outbound),
        "unconfirmed, but shown": sum(_is(message, "unconfirmed") and bool(message.received) for message in outbound),
        "events told again": len(told)
        + len(messages_told)
        - len({one.event_id for one in told})
        - len({one.event_id for one in messages_told}),
        "told though not answered 200": sum(
            bool(message.told) and all(one.outcome != "delivered" for one in message.settled) for message in inbound
        ),
    }
    states = Counter(f"outbound {message.rows[0].state}" for message in outbound if message.rows)
    outcomes = Counter(f"inbound {one.outcome}" for message in inbound for one in message.settled)
    return {**counts, **dict(sorted(states.items())), **dict(sorted(outcomes.items()))}


def _is(message: Outbound, state: str) -> bool:
    return bool(message.rows) and message.rows[0].state == state
