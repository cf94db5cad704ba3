"""``wigwag pools``: servers that SIP requests are passed on to, through the admin API of a running node."""

from typing import Annotated, Literal
from urllib.parse import quote

import typer

from .options import ConfigOption, JsonOption, TokenOption, UrlOption, client_of
from .terminal import console, print_json, print_table

pools = typer.Typer(help="Pools of SIP next hops.", no_args_is_help=True)

_COLUMNS = ("pool", "uri", "state", "weight", "priority", "failures", "chosen")


@pools.command("list")
def list_pools(
    config: ConfigOption = None, url: UrlOption = None, token_file: TokenOption = None, as_json: JsonOption = False
) -> None:
    """List pools and their members, as the pod that is asked sees them."""
    with client_of(config, url, token_file) as client:
        found = client.get("/v1/relay/sip/pools")
    if as_json:
        print_json(found)
        return
    rows = [{"pool": pool["name"], **member} for pool in found for member in pool["members"]]
    print_table(rows, _COLUMNS, empty="no pools")


@pools.command("set")
def set_state(
    pool: str,
    uri: Annotated[str, typer.Argument(help="The member's URI, as the list shows it.")],
    state: Annotated[Literal["active", "inactive", "probing"], typer.Argument()],
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenOption = None,
) -> None:
    """Take a member out of use at the pod that is asked (inactive), or back in; it stays so until it is changed."""
    with client_of(config, url, token_file) as client:
        client.post(f"/v1/relay/sip/pools/{quote(pool, safe='')}/state", {"uri": uri, "state": state})
    console().print(f"{uri} of {pool} is {state}", markup=False)
