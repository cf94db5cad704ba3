"""What processes of SIP users and of callers around the user agent are told to do, as a JSON file."""

import hashlib
from pathlib import Path

import msgspec

from tests.support.endpoints import Status


class UaPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One process, of SIP users or of callers of the interface."""

    name: str
    """Its name, which its recording carries."""
    directory: str
    clients: tuple[str, ...]
    """Names of SIP users: those that it is, or that it calls."""
    rate: float
    """Messages per second that all together send while they can."""
    domain: str
    sip_port: int
    """Of the edge, TCP."""
    msrp_port: int
    """Of its relay, TLS."""
    ca_file: str
    password: str
    targets: tuple[str, ...]
    """gRPC of each ua pod."""
    application: str

    @property
    def recording(self) -> Path:
        """Where the process records what happens."""
        return Path(self.directory, f"{self.name}.recording.jsonl")


class UaStatus(Status, frozen=True, kw_only=True):
    """What a process prints."""

    open: int = 0
    """Sessions that stand."""


class Content(msgspec.Struct, frozen=True):
    """Body of a message: which one it is."""

    key: str
    sequence: int
    padding: str = "." * 60


def body_of(key: str, sequence: int) -> bytes:
    """Return the body of a message."""
    return msgspec.json.encode(Content(key, sequence))


def content_of(body: bytes) -> Content:
    """Read a body.

    Raises:
        msgspec.DecodeError: It is none of ours.
    """
    return msgspec.json.decode(body, type=Content)


def digest_of(body: bytes) -> str:
    """Return the SHA-256 of a body, hexadecimal."""
    return hashlib.sha256(body).hexdigest()
