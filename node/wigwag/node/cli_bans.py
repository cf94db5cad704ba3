"""``wigwag bans``: addresses that SIP lets in no more, through the admin API of a running node."""

from typing import Annotated
from urllib.parse import quote

import typer

from .options import ConfigOption, JsonOption, TokenOption, UrlOption, client_of
from .terminal import local_time, print_json, print_table

bans = typer.Typer(help="Addresses that SIP lets in no more.", no_args_is_help=True)

_COLUMNS = ("address", "reason", "since", "until")


@bans.command("list")
def list_bans(
    config: ConfigOption = None, url: UrlOption = None, token_file: TokenOption = None, as_json: JsonOption = False
) -> None:
    """List the bans of this pod, the oldest first."""
    with client_of(config, url, token_file) as client:
        rows = client.get("/v1/bans")
    if as_json:
        print_json(rows)
        return
    readable = [row | {"since": local_time(row["since"]), "until": local_time(row["until"])} for row in rows]
    print_table(readable, _COLUMNS, empty="nobody is banned")


@bans.command("remove")
def remove_ban(
    address: Annotated[str, typer.Argument(help="IPv4 address, or any of an IPv6 /64.")],
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenOption = None,
) -> None:
    """Let an address in again."""
    with client_of(config, url, token_file) as client:
        client.delete(f"/v1/bans/{quote(address, safe='')}")
