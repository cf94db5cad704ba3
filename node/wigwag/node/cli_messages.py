"""``wigwag messages``: accepted messages and what became of them, through the admin API of a running node."""

from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from .client import AdminClient
from .options import ConfigOption, JsonOption, TokenOption, UrlOption, client_of
from .terminal import local_time, print_json, print_members, print_table

messages = typer.Typer(help="Accepted messages and what became of them.", no_args_is_help=True)

_COLUMNS: Final = ("id", "state", "direction", "sender", "recipient", "service", "created", "expires", "status")
_TIMES: Final = ("created", "updated", "settled", "expires")
_PAGE: Final = 1_000

Row = dict[str, Any]


@messages.command("list")
def list_messages(
    recipient: Annotated[str | None, typer.Option("--recipient", help="Only those that wait for this address.")] = None,
    conversation: Annotated[
        str | None, typer.Option("--conversation", help="All of this conversation, also those with an outcome.")
    ] = None,
    most: Annotated[int, typer.Option("--most", min=1, help="Stop after so many.")] = 1_000,
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """List messages without an outcome, in the order of their acceptance."""
    with client_of(config, url, token_file) as client:
        rows = _rows(client, most, recipient=recipient, conversation=conversation)
    if as_json:
        print_json(rows)
    else:
        print_table(map(_readable, rows), _COLUMNS, empty="no messages")


@messages.command("show")
def show_message(
    message: Annotated[str, typer.Argument(help="Id of a message, see: wigwag messages list")],
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one message, without what it says."""
    with client_of(config, url, token_file) as client:
        found = client.get(f"/v1/messages/{quote(message, safe='/')}")
    if as_json:
        print_json(found)
    else:
        print_members(_readable(found))


def _rows(client: AdminClient, most: int, **query: str | None) -> list[Row]:
    rows: list[Row] = []
    after: int | None = 0
    while after is not None and len(rows) < most:
        page = client.get("/v1/messages", after=after, limit=min(_PAGE, most - len(rows)), **query)
        rows += page["messages"]
        after = page["next"]
    return rows


def _readable(row: Row) -> Row:
    return row | {name: local_time(row[name]) for name in _TIMES if row[name] is not None}
