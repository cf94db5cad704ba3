"""Digests of files (RFC 5547 section 6)."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_FUNCTIONS: Final = {
    "sha-1": "sha1",
    "sha-224": "sha224",
    "sha-256": "sha256",
    "sha-384": "sha384",
    "sha-512": "sha512",
}
OFFERED: Final = ("sha-1", "sha-256")
"""SHA-1 because RFC 5547 knows no other, SHA-256 because it can be relied on."""
_PIECE: Final = 1_048_576


def digests(path: Path, functions: Iterable[str]) -> tuple[tuple[str, bytes], ...]:
    """Return the digests of a file by those of the functions that are known.

    Raises:
        OSError: It can't be read.
    """
    made = {name: hashlib.new(_FUNCTIONS[name], usedforsecurity=False) for name in functions if name in _FUNCTIONS}
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            for each in made.values():
                each.update(piece)
    return tuple((name, each.digest()) for name, each in made.items())


def agree(path: Path, expected: tuple[tuple[str, bytes], ...]) -> bool:
    """Tell whether a file has all of the digests that can be checked.

    Raises:
        OSError: It can't be read.
    """
    found = dict(digests(path, [name for name, _ in expected]))
    return all(found[name] == digest for name, digest in expected if name in found)
