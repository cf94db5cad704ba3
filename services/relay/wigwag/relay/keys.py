"""The file of signing keys: one ``id:hex`` a line, newest first; made on the first start."""

import os
from collections.abc import Callable
from pathlib import Path

from wigwag.errors import ConfigurationError
from wigwag.protocols.digest import SigningKey, SigningKeys

FILE_NAME = "signing-keys"


def load_or_make(path: Path, random: Callable[[int], bytes]) -> SigningKeys:
    """Return the keys in ``path``; makes the file with one key, readable by its owner only, when there is none.

    Raises:
        ConfigurationError: The file can't be read or written, or a line is not a key; the text names the file.
    """
    try:
        if not path.exists():
            _make(path, SigningKey("A", random(32)))
        lines = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
        return SigningKeys([SigningKey.parse(line) for line in lines])
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"relay.signing_keys_file: {path}: {error}") from error
    except ConfigurationError as error:
        raise ConfigurationError(f"relay.signing_keys_file: {path}: {error}") from error


def _make(path: Path, key: SigningKey) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return  # Another process was faster; its key serves as well.
    with os.fdopen(descriptor, "w") as file:
        file.write(key.line() + "\n")
