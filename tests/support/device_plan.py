"""What a process of SIP devices is told to do, as a JSON file."""

from pathlib import Path
from typing import Literal

import msgspec


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """The edge, as its users know it."""

    host: str
    """Numeric address."""
    ports: dict[str, int]
    """By transport: UDP, TCP, TLS."""
    name: str
    """Whom its certificate speaks for."""
    ca_file: str
    domain: str
    password: str
    """Of every user."""


class DevicePlan(msgspec.Struct, frozen=True, kw_only=True):
    """One device and the user that it writes to."""

    name: str
    """Of the device, and of its user."""
    peer: str
    """Name of the user that it writes to."""
    transport: Literal["UDP", "TCP", "TLS"]
    dialog: Literal["", "calls", "is called"] = ""
    """Whether there is a dialog with the peer, and who sets it up."""
    hangs_up: bool = False
    """Whether it ends the dialog."""


class DevicesPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One process of devices."""

    name: str
    """Its name, which its recording carries."""
    directory: str
    server: Server
    clients: tuple[DevicePlan, ...]
    rate: float
    """MESSAGEs per second that all its devices together send while they can."""
    info_interval: float = 1.0
    """Seconds between two INFOs of a device in its dialog."""
    jitter: float = 0.5
    """Seconds within which a device whose connection was lost connects again; twice as many after each failure."""

    @property
    def recording(self) -> Path:
        """Where the process records what happens."""
        return Path(self.directory, f"{self.name}.recording.jsonl")


def device_pairs(pairs: int, dialogs: int) -> tuple[list[DevicePlan], list[DevicePlan]]:
    """Return left and right devices that write to each other, all combinations of transports in turn.

    Args:
        pairs: How many.
        dialogs: Pairs that have a dialog; the caller hangs up in every other one.
    """
    transports: tuple[Literal["UDP", "TCP", "TLS"], ...] = ("UDP", "TCP", "TLS")
    left, right = [], []
    for index in range(pairs):
        has_dialog, odd = index < dialogs, index % 2 == 1
        first, second = transports[index % 3], transports[index // 3 % 3]
        one, other = f"left{index}", f"right{index}"
        left.append(
            DevicePlan(
                name=one, peer=other, transport=first, dialog="calls" if has_dialog else "",
                hangs_up=has_dialog and not odd,
            )
        )  # fmt: skip
        right.append(
            DevicePlan(
                name=other, peer=one, transport=second, dialog="is called" if has_dialog else "",
                hangs_up=has_dialog and odd,
            )
        )  # fmt: skip
    return left, right
