"""Capturing on loopback with dumpcap, and reading captures with tshark, whose decoder of MSRP is not ours."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.peers import require_peer
from tests.support.processes import Process, ProcessError, wait_until
from wigwag.protocols.msrp import FrameEnded, FrameParser, HeadReceived, RequestHead

_FIELDS = (
    "tcp.stream",
    "tcp.srcport",
    "tcp.payload",
    "msrp.method",
    "msrp.status.code",
    "msrp.transaction.id",
    "msrp.end.line",
    "_ws.malformed",
    "_ws.expert.message",
    "_ws.expert.severity",
)
_WARNING = 0x600000
"""Severity of an expert information at which it is a complaint; below it tells of SYN and FIN."""
_EXPECTED = ("Connection reset (RST)",)
"""Complaints about how a test ended its connections."""
_READY = 10.0


@dataclass(frozen=True, slots=True)
class Packet:
    """What tshark makes of one TCP segment that carries something."""

    stream: int
    source_port: int
    payload: bytes
    kind: str
    """Method or status code of the MSRP message that begins here; nothing when none does."""
    transaction_id: str
    end_line: str
    complaints: tuple[str, ...]


def decode(capture: Path, port: int) -> list[Packet]:
    """Read a capture with ``port`` taken for MSRP; segments without payload are left out."""
    tshark = require_peer("tshark")
    command: list[str | Path] = [
        tshark,
        "-r",
        capture,
        "-d",
        f"tcp.port=={port},msrp",
        "-Y",
        "tcp.len > 0",
        "-T",
        "fields",
    ]
    # what TCP itself goes through, such as full windows, is not the matter
    command += ["-o", "tcp.analyze_sequence_numbers:FALSE"]
    command += [part for field in _FIELDS for part in ("-e", field)]
    read = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [_packet(line.split("\t")) for line in read.stdout.splitlines()]


def _packet(values: list[str]) -> Packet:
    stream, source_port, payload, method, status, transaction_ids, end_line, malformed, messages, severities = values
    complaints = [malformed] if malformed else []
    if any(int(severity) >= _WARNING for severity in severities.split(",") if severity):
        complaints += [message for message in messages.split(",") if message not in _EXPECTED]
    return Packet(
        stream=int(stream),
        source_port=int(source_port),
        payload=bytes.fromhex(payload),
        kind=method or status,
        transaction_id=transaction_ids.split(",")[0],
        end_line=end_line,
        complaints=tuple(complaints),
    )


@contextmanager
def capturing(file: Path, port: int) -> Iterator[None]:
    """Capture what goes over loopback from and to a port; skips the test by name where that is not allowed."""
    command: list[str | Path] = [require_peer("dumpcap"), "-q", "-i", "lo", "-f", f"tcp port {port}", "-w", file]
    log = file.with_suffix(".log")
    with Process(command, log=log) as process:
        try:
            wait_until(lambda: "File:" in log.read_text(), seconds=_READY, what="capture")
        except TimeoutError as error:
            _cannot_capture(process, error)
        yield


def _cannot_capture(process: Process, error: TimeoutError) -> None:
    reason = f"dumpcap can't capture on lo, be root: {process.log_tail(3)}"
    if os.environ.get("WIGWAG_REQUIRE_PEERS") == "1":
        raise ProcessError(reason) from error
    pytest.skip(reason)


def wait_for_capture(file: Path, octets: bytes, times: int) -> None:
    """Wait until the capture holds something so many times: dumpcap writes late."""
    wait_until(lambda: file.read_bytes().count(octets) >= times, seconds=_READY, what=f"{octets!r} in the capture")


def sent_frames(packets: list[Packet], port: int) -> list[tuple[str, bytes]]:
    """Put the streams that come from ``port`` together and cut them into MSRP messages: kind and octets of each."""
    streams: dict[int, bytes] = {}
    for packet in packets:
        if packet.source_port == port:
            streams[packet.stream] = streams.get(packet.stream, b"") + packet.payload
    return [frame for octets in streams.values() for frame in _cut(octets)]


def _cut(octets: bytes) -> Iterator[tuple[str, bytes]]:
    parser, start, position, kind = FrameParser(), 0, 0, ""
    while position < len(octets):
        events, position = parser.feed(octets, position)
        for event in events:
            if isinstance(event, HeadReceived):
                head = event.head
                kind = head.method if isinstance(head, RequestHead) else str(head.status_code)
            elif isinstance(event, FrameEnded):
                yield kind, octets[start:position]
                start = position
