"""What this process has open."""

import os
from collections.abc import Set
from pathlib import Path

_DESCRIPTORS = Path("/proc/self/fd")


def what_is_open() -> Set[str]:
    """Return the sockets, pipes and files that are open, as the kernel names them; nothing where it does not tell."""
    found: set[str] = set()
    for number in os.listdir(_DESCRIPTORS) if _DESCRIPTORS.is_dir() else ():
        try:
            found.add(os.readlink(_DESCRIPTORS / number))
        except FileNotFoundError:  # the one that listed them
            continue
    return found


def opened_since(before: Set[str]) -> bool:
    """Return whether anything is open that was not then; True where the kernel does not tell."""
    return not before or bool(what_is_open() - before)
