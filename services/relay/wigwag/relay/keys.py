"""The file of signing keys, shared by all pods: one ``id:hex[:from]`` a line, read again while the relay runs.

All keys verify. The one that signs is the newest whose ``from`` (seconds since the epoch; none: always) has passed: a
new key is written with a time in the future, so that every pod knows it before any pod signs with it.
"""

import os
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from wigwag.errors import ConfigurationError
from wigwag.protocols.digest import SigningKey, SigningKeys

from .config import RelaySettings

FILE_NAME = "signing-keys"
_IDS = string.ascii_uppercase + string.ascii_lowercase + string.digits


@dataclass(frozen=True, slots=True)
class DatedKey:
    """A key and from when on it signs."""

    key: SigningKey
    signs_from: float = 0.0
    """Seconds since the epoch."""

    @classmethod
    def parse(cls, line: str) -> "DatedKey":
        """Parse a line of the file.

        Raises:
            ConfigurationError: It is not of the form.
        """
        head, colon, tail = line.strip().rpartition(":")
        if colon and ":" in head:
            if not tail.isascii() or not tail.isdigit():
                raise ConfigurationError("signing key: the time from which it signs is not a number of seconds")
            return cls(SigningKey.parse(head), float(tail))
        return cls(SigningKey.parse(line))

    def line(self) -> str:
        """Return what ``parse`` reads."""
        return f"{self.key.line()}:{int(self.signs_from)}" if self.signs_from else self.key.line()


def in_order(keys: Sequence[DatedKey], wall: float) -> list[SigningKey]:
    """Return the keys with the one that signs now first; of those not yet due, one signs when there is no other."""
    due = [dated for dated in keys if dated.signs_from <= wall]
    signing = max(due or keys, key=lambda dated: dated.signs_from) if keys else None
    return [dated.key for dated in sorted(keys, key=lambda dated: dated is not signing)]


def rotated(keys: Sequence[DatedKey], secret: bytes, *, signs_from: float, lifetime: float) -> list[DatedKey]:
    """Return the keys with a new one, without those that nothing valid is signed with any more.

    Args:
        keys: What the file holds.
        secret: 32 random bytes.
        signs_from: When the new key begins to sign, seconds since the epoch.
        lifetime: Longest validity of anything signed, in seconds.

    Raises:
        ConfigurationError: All 62 ids are taken.
    """
    free = [name for name in _IDS if name not in {dated.key.id for dated in keys}]
    if not free:
        raise ConfigurationError("signing keys: every id is taken; remove old keys first")
    by_age = sorted(keys, key=lambda dated: dated.signs_from, reverse=True)
    kept: list[DatedKey] = []
    superseded_at = signs_from
    for dated in by_age:
        if superseded_at + lifetime > signs_from or not kept:
            kept.append(dated)
        superseded_at = dated.signs_from
    return [DatedKey(SigningKey(free[0], secret), signs_from), *kept]


def key_file(settings: RelaySettings, data_dir: Path) -> "KeyFile":
    """Return the file that the settings name, else the one of the data directory."""
    named = settings.signing_keys_file
    return KeyFile(Path(named) if named is not None else data_dir / FILE_NAME)


class KeyFile:
    """The file, and the keys that stand in it.

    Args:
        path: Where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int] | None = None
        self._dated: list[DatedKey] = []
        self._order: list[SigningKey] = []

    def load_or_make(self, random: Callable[[int], bytes], wall: float) -> SigningKeys:
        """Return the keys; makes the file with one key, readable by its owner only, when there is none.

        Raises:
            ConfigurationError: The file can't be read or written, or a line is not a key; the text names the file.
        """
        try:
            if not self.path.exists():
                self._make(SigningKey("A", random(32)))
        except OSError as error:
            raise self._error(error) from error
        return self.load(wall)

    def load(self, wall: float) -> SigningKeys:
        """Return the keys.

        Raises:
            ConfigurationError: The file can't be read, or a line is not a key; the text names the file.
        """
        try:
            self._stamp = self._stat()
        except OSError as error:
            raise self._error(error) from error
        self._dated = self.read()
        self._order = in_order(self._dated, wall)
        return SigningKeys(self._order)

    def read(self) -> list[DatedKey]:
        """Return what the file holds.

        Raises:
            ConfigurationError: It can't be read, or a line is not a key; the text names the file.
        """
        try:
            lines = [line for line in self.path.read_text().splitlines() if line.strip() and not line.startswith("#")]
            found = [DatedKey.parse(line) for line in lines]
            SigningKeys([dated.key for dated in found])
        except (OSError, UnicodeDecodeError, ConfigurationError) as error:
            raise self._error(error) from error
        return found

    def refresh(self, keys: SigningKeys, wall: float) -> bool:
        """Take over a changed file, and the key whose time has come; True when something changed.

        Raises:
            ConfigurationError: The file is broken; the keys in use stay.
        """
        try:
            stamp = self._stat()
        except OSError as error:
            raise self._error(error) from error
        if stamp != self._stamp:
            self._stamp = stamp
            self._dated = self.read()
        order = in_order(self._dated, wall)
        if order == self._order:
            return False
        keys.replace(order)
        self._order = order
        return True

    def write(self, keys: Sequence[DatedKey]) -> None:
        """Replace the file in one step.

        Raises:
            ConfigurationError: It can't be written.
        """
        aside = self.path.with_name(self.path.name + ".new")
        try:
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.writelines(dated.line() + "\n" for dated in keys)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self.path)
        except OSError as error:
            raise self._error(error) from error

    def _stat(self) -> tuple[int, int]:
        found = self.path.stat()
        return found.st_mtime_ns, found.st_ino

    def _make(self, key: SigningKey) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return  # Another process was faster; its key serves as well.
        with os.fdopen(descriptor, "w") as file:
            file.write(key.line() + "\n")

    def _error(self, error: Exception) -> ConfigurationError:
        if isinstance(error, FileNotFoundError):
            return ConfigurationError(
                f"relay.signing_keys_file: {self.path} does not exist; wigwag keys rotate --in 0 makes it"
            )
        reason = error.strerror if isinstance(error, OSError) else error
        return ConfigurationError(f"relay.signing_keys_file: {self.path}: {reason}")
