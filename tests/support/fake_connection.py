"""A stream without a socket."""

from dataclasses import dataclass, field


@dataclass
class FakeConnection:
    """A stream of the edge, in place of its channel."""

    id: int
    remote: tuple[str, int]
    written: list[bytes] = field(default_factory=list)
    closed: str = ""
    backlog: int = 0
    """What ``unsent`` says."""
    local: tuple[str, int] = ("192.0.2.9", 5060)
    certificate_names: tuple[str, ...] = ()

    def send(self, frames: list[bytes]) -> None:
        self.written += frames

    def close(self, reason: str) -> None:
        self.closed = reason

    abort = close

    def unsent(self) -> int:
        return self.backlog

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...
