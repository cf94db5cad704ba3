"""Whether an edge kept its promise, judged by the recordings of the devices around it and by nothing else.

The promise (DESIGN.md section 7, 2): each request ends in exactly one outcome at its sender; one answered 2xx was
handed to the application of a device of its receiver, and to none twice; a device may see it again on the wire, with
another branch only if something was done to the edge while it was in flight. Nothing overtakes what was answered
before it was sent. A request that got no answer at all is broken, unless its sender's connection was lost; and between
devices on UDP everything is delivered, whatever is killed. 202 promises no more than that somebody keeps it.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from .edge_evidence import EdgeEvidence, EdgeRequest
from .edge_recording import EdgeRecording, RequestReceived
from .evidence import Kind, Violation
from .verification import Verdict


def verify_edge(recordings: Sequence[EdgeRecording]) -> Verdict:
    """Judge a run.

    Args:
        recordings: Those of all devices of the run, and of whoever disturbed the edge.
    """
    evidence = EdgeEvidence(recordings)
    violations = list(evidence.violations)
    for identity, request in evidence.requests.items():
        violations += _strangers(identity, request)
        violations += _ended(identity, request)
        violations += _delivered(identity, request)
        violations += _doubled(evidence, identity, request)
        violations += _refused(evidence, identity, request)
    violations += _reordered(evidence)
    return Verdict(_counts(evidence), tuple(violations))


def _strangers(identity: str, request: EdgeRequest) -> Iterator[Violation]:
    sent = request.sent.record if request.sent is not None else None
    if sent is None and (request.received or request.repeated):
        yield Violation(Kind.INVENTED, f"{identity} was received and not sent", request.entries)
    if sent is None:
        return
    for entry in request.received:
        got = entry.record
        if (got.digest, got.sequence, got.method) != (sent.digest, sent.sequence, sent.method):
            yield Violation(Kind.DAMAGED, f"{identity} arrived at {got.device} changed", request.entries)
    received_by = {entry.record.device for entry in request.received}
    for again in request.repeated:
        if again.record.device not in received_by:
            text = f"{identity} came again to {again.record.device}, which does not have it"
            yield Violation(Kind.RECORDING, text, request.entries)


def _ended(identity: str, request: EdgeRequest) -> Iterator[Violation]:
    if request.sent is None:
        return
    if request.ended is None:
        yield Violation(Kind.UNANSWERED, f"{identity} has no outcome at its sender", request.entries)
    elif request.ended.record.cause == "timeout":
        yield Violation(Kind.UNANSWERED, f"{identity} got no answer, and its flow lived on", request.entries)


def _delivered(identity: str, request: EdgeRequest) -> Iterator[Violation]:
    if _is_success(request) and request.status != 202 and not request.received:
        yield Violation(Kind.LOST, f"{identity} was answered {request.status} and nobody has it", request.entries)


def _doubled(evidence: EdgeEvidence, identity: str, request: EdgeRequest) -> Iterator[Violation]:
    for device, times in Counter(entry.record.device for entry in request.received).items():
        if times > 1:
            yield Violation(Kind.DOUBLED, f"{device} showed {identity} {times} times", request.entries)
        elif request.sent is not None and device not in evidence.devices[request.sent.record.to]:
            yield Violation(Kind.INVENTED, f"{device} received {identity}, which is not for it", request.entries)
    if _other_branches(request) and not evidence.was_disturbed(request):
        text = f"{identity} came with another branch although nothing was done to the edge"
        yield Violation(Kind.DOUBLED, text, request.entries)


def _other_branches(request: EdgeRequest) -> int:
    """Count what came again and was no retransmission."""
    first = {entry.record.device: entry.record.branch for entry in request.received}
    return sum(again.record.branch != first.get(again.record.device) for again in request.repeated)


def _refused(evidence: EdgeEvidence, identity: str, request: EdgeRequest) -> Iterator[Violation]:
    if request.sent is None or request.ended is None or _is_success(request):
        return
    sent = request.sent.record
    devices = {sent.device, *evidence.devices[sent.to]}
    if all(evidence.transports[device] == {"UDP"} for device in devices):
        text = f"{identity} between devices on UDP ended in {request.status or request.ended.record.cause}"
        yield Violation(Kind.REFUSED, text, request.entries)


def _reordered(evidence: EdgeEvidence) -> Iterator[Violation]:
    furthest: dict[tuple[str, str, str], RequestReceived] = {}
    for recording in evidence.recordings:
        for record in recording.records:
            if not isinstance(record, RequestReceived):
                continue
            request = evidence.requests[record.id]
            # Of several devices one may get late what another has answered long ago.
            if request.sent is None or len(evidence.devices[request.sent.record.to]) > 1:
                continue
            direction = (request.sent.record.device, record.device, request.sent.record.dialog)
            last = furthest.get(direction)
            if last is None or record.sequence > last.sequence:
                furthest[direction] = record
            elif record.sequence < last.sequence and _is_success(request):
                evidences = (*request.entries, *evidence.requests[last.id].entries)
                yield Violation(Kind.REORDERED, f"{record.id} was received after {last.id}", evidences)


def _is_success(request: EdgeRequest) -> bool:
    return 200 <= request.status < 300


def _counts(evidence: EdgeEvidence) -> dict[str, int]:
    requests = [request for request in evidence.requests.values() if request.sent is not None]
    counts = {
        "recordings": len(evidence.recordings),
        "devices": len(evidence.transports),
        "flows lost": evidence.flows_lost,
        "disturbances": len(evidence.disturbances),
        "came again": sum(len(request.repeated) for request in requests),
        "came again with another branch": sum(map(_other_branches, requests)),
        "in flight at a disturbance": sum(map(evidence.was_disturbed, requests)),
        "received though not answered 2xx": sum(bool(one.received) and not _is_success(one) for one in requests),
    }
    for request in requests:
        assert request.sent is not None
        name = f"{request.sent.record.method} {_outcome(request)}"
        counts[name] = counts.get(name, 0) + 1
    return counts


def _outcome(request: EdgeRequest) -> str:
    if request.ended is None:
        return "without outcome"
    ended = request.ended.record
    return f"answered {ended.status}" if ended.cause == "answered" else ended.cause
