"""``wigwag keys``: the signing keys that all pods share."""

import secrets
import time
from typing import Annotated

import typer

from wigwag.relay.keys import KeyFile, in_order, key_file, rotated

from .options import ConfigOption, JsonOption, settings_of
from .settings import Settings
from .terminal import console, local_time, print_json, print_table

OLDEST_SESSION = 30 * 86_400.0
"""Seconds for which a key is kept after another signs: a client that refreshes keeps its URI, whatever signed it."""

keys = typer.Typer(help="Keys that sign URIs, nonces and pod links; equal on all pods.", no_args_is_help=True)


@keys.command("list")
def list_keys(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the keys by id: when each begins to sign, and which one signs now. Secrets are not shown."""
    found = _file(settings_of(config).settings).read()
    signing = in_order(found, time.time())[0].id
    rows: list[dict[str, object]] = [
        {"id": dated.key.id, "signs_from": dated.signs_from, "signs_now": dated.key.id == signing} for dated in found
    ]
    if as_json:
        print_json(rows)
    else:
        for row, dated in zip(rows, found, strict=True):
            row["signs_from"] = local_time(dated.signs_from) if dated.signs_from else "always"
        print_table(rows, ("id", "signs_from", "signs_now"), empty="no keys")


@keys.command("rotate")
def rotate_keys(
    after: Annotated[
        int, typer.Option("--in", min=0, help="Seconds until the new key signs: all pods have to know it by then.")
    ] = 120,
    config: ConfigOption = None,
) -> None:
    """Add a key that signs from then on, and drop those that nothing valid is signed with any more.

    Makes the file where there is none. Running pods read the file within 5 seconds of its change.
    """
    settings = settings_of(config).settings
    file = _file(settings)
    lifetime = max(OLDEST_SESSION, settings.relay.max_expires + settings.relay.resume_window)
    before = file.read() if file.path.exists() else []
    changed = rotated(before, secrets.token_bytes(32), signs_from=time.time() + after, lifetime=lifetime)
    file.write(changed)
    dropped = {dated.key.id for dated in before} - {dated.key.id for dated in changed}
    console().print(f"key {changed[0].key.id} signs from {local_time(changed[0].signs_from)}", markup=False)
    if dropped:
        console().print(f"dropped: {', '.join(sorted(dropped))}", markup=False)


def _file(settings: Settings) -> KeyFile:
    return key_file(settings.relay, settings.node.data_dir)
