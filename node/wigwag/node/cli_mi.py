"""``wigwag mi``: any MI command of a running node."""

from typing import Annotated, Any

import typer

from wigwag.errors import ServiceError

from .options import ConfigOption, TokenOption, UrlOption, client_of
from .terminal import print_json


def mi(
    command: Annotated[str, typer.Argument(help="Such as which, or sr_list_reports.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[ARG | NAME=VALUE]...", help="All by position, or all by name.")
    ] = None,
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenOption = None,
) -> None:
    """Call a command of the management interface and print its result as JSON."""
    request = {"jsonrpc": "2.0", "id": 1, "method": command, "params": params_of(arguments or [])}
    with client_of(config, url, token_file) as client:
        answer = client.post("/mi", request)
    if "error" in answer:
        raise ServiceError(_sentence(command, answer["error"]))
    print_json(answer["result"])


def params_of(words: list[str]) -> list[str] | dict[str, str]:
    """Return arguments as ``opensips-cli`` would send them: an object when each word is ``name=value``."""
    pairs = [word.partition("=") for word in words]
    if pairs and all(sign and name.replace("_", "").isalnum() for name, sign, _ in pairs):
        return {name: value for name, _, value in pairs}
    return words


def _sentence(command: str, error: dict[str, Any]) -> str:
    data = f" ({error['data']})" if error.get("data") else ""
    return f"{command}: {error['code']} {error['message']}{data}"
