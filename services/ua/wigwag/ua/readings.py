"""Metrics of sessions and calls: plain numbers, read when somebody asks for them."""

from collections import Counter
from collections.abc import Iterator, Mapping

from wigwag.runtime.names import UA_CALLS, UA_SESSION_COUNTERS, UA_SESSIONS, UA_SESSIONS_ENDED
from wigwag.runtime.telemetry import Reading

from .sessions.life import SessionLife
from .sessions.pod_sessions import PodSessions
from .sessions.record import STATES


def session_readings(sessions: PodSessions, life: SessionLife) -> Iterator[Reading]:
    """Yield what there is to know of sessions."""
    found = Counter(own.record.state for own in sessions.all_owned.values())
    for state in STATES:
        yield UA_SESSIONS.read(found[state], state=state)
    counters = life.counters
    for metric in UA_SESSION_COUNTERS:
        yield metric.read(counters[metric.name.rpartition(".")[2]])
    for cause, count in life.ended_by.items():
        yield UA_SESSIONS_ENDED.read(count, cause=cause)


def call_readings(calls: Mapping[tuple[str, str], int]) -> Iterator[Reading]:
    """Yield what applications asked for."""
    for (method, status), count in sorted(calls.items()):
        yield UA_CALLS.read(count, method=method, status=status)
