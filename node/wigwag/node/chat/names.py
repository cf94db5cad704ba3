"""Names for files that a peer sends: his choice of words, our choice of place."""

import itertools
import os
import re
from pathlib import Path
from typing import Final

_LONGEST: Final = 150
"""Octets of a name; file systems take 255, and something is put before and behind."""
# What separates folders, means something to shells or is refused by some file systems.
_UNSAFE = re.compile(r'[<>:"|?*`$&;!\'\\/]')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")


def safe_name(wanted: str | None) -> str:
    """Return a name without folders that is no option, hidden file or device, whatever was wanted."""
    last = re.split(r"[/\\]", wanted or "")[-1]
    shown = "".join(character if character.isprintable() else "_" for character in last)
    name = _UNSAFE.sub("_", shown).strip(" .")
    if name.startswith("-") or _RESERVED.fullmatch(name):
        name = f"_{name}"
    return _cut(name) or "file"


def reserve(directory: Path, name: str) -> Path:
    """Return the path of a new empty file: ``name``, or with a number when there is one.

    Raises:
        OSError: It can't be made.
    """
    stem, suffix = os.path.splitext(name)
    for number in itertools.count():
        path = directory / (name if number == 0 else f"{stem} ({number}){suffix}")
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            continue
        return path
    raise AssertionError("there is always another number")


def readable_size(octets: int) -> str:
    """Return a size for people."""
    size = float(octets)
    for unit in ("octets", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "octets" else f"{size:.1f} {unit}"


def _cut(name: str) -> str:
    stem, suffix = os.path.splitext(name)
    suffix = suffix if len(suffix.encode()) <= 16 else ""
    stem = stem if suffix else name
    room = _LONGEST - len(suffix.encode())
    return stem.encode()[:room].decode(errors="ignore") + suffix
