"""``wigwag drain``: sends a pod's clients to the others, waits until it is done, or calls it off."""

import time
from typing import Annotated, Any

import typer

from .client import AdminClient
from .options import ConfigOption, JsonOption, TokenOption, UrlOption, client_of
from .terminal import console, local_time, print_json

_PATH = "/v1/relay/drain"
_LOOK = 0.5
"""Seconds between two looks at a drain that is waited for."""


def drain(
    grace: Annotated[
        float | None, typer.Option("--grace", min=0, help="Seconds for open work; else node.shutdown_grace.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the pod is drained.")] = True,
    cancel: Annotated[bool, typer.Option("--cancel", help="Call the drain off: the pod serves again.")] = False,
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Drain the pod: not ready, no new work, what is open ends, clients go to other pods.

    The process goes on and stays drained until it is ended or the drain is called off. Given again while it drains, the
    command waits for the drain that has begun.
    """
    with client_of(config, url, token_file) as client:
        if cancel:
            client.delete(_PATH)
            progress = client.get(_PATH)
        else:
            progress = client.post(_PATH, {"grace": grace})
            if wait:
                progress = _waited(client, progress, quiet=as_json)
    if as_json:
        print_json(progress)
    else:
        console().print(_told(progress), markup=False)


def _waited(client: AdminClient, progress: dict[str, Any], *, quiet: bool) -> dict[str, Any]:
    shown = ""
    while progress["drain"]["state"] == "draining":
        line = _told(progress)
        if line != shown and not quiet:
            console().print(line, markup=False)
            shown = line
        time.sleep(_LOOK)
        progress = client.get(_PATH)
    return progress


def _told(progress: dict[str, Any]) -> str:
    view, deadline = progress["drain"], progress["deadline"]
    left = f"{view['connections']} connections, {view['sessions']} sessions, {view['transactions']} unanswered messages"
    until = f", until {local_time(deadline)} at most" if view["state"] == "draining" and deadline else ""
    return f"{view['state']}: {left}{until}"
