"""Options that several commands share, and how each command comes by its settings."""

import os
from pathlib import Path
from typing import Annotated

import typer

from wigwag.errors import ConfigurationError

from .client import AdminClient
from .configuration import Configuration, load

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="TOML file; else WIGWAG_CONFIG, else ./wigwag.toml when there is one.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
UrlOption = Annotated[
    str | None, typer.Option("--url", help="Admin API of the node, such as http://127.0.0.1:8080; else by settings.")
]
TokenOption = Annotated[
    Path | None, typer.Option("--token-file", help="File with a token of the admin API; else by settings.")
]


def settings_of(config: Path | None) -> Configuration:
    """Return the settings by the process's environment and the chosen file."""
    return load(os.environ, file=config)


def client_of(config: Path | None, url: str | None, token_file: Path | None) -> AdminClient:
    """Return a client for the node that is meant."""
    token = read_secret_file(token_file) if token_file is not None else None
    return AdminClient.of(settings_of(config).settings, url=url, token=token)


def read_secret_file(path: Path) -> str:
    """Return the first line of a file.

    Raises:
        ConfigurationError: It can't be read or its first line is empty.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.readline(65_536).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} can't be read: {error}") from error
    if not text:
        raise ConfigurationError(f"{path}: the first line is empty")
    return text
