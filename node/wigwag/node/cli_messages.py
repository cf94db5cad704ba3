"""``wigwag messages``: accepted messages and what became of them, through the admin API of a running node."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from wigwag.errors import ConfigurationError, NotFoundError

from .client import AdminClient
from .options import ConfigOption, JsonOption, TokenOption, UrlOption, client_of
from .terminal import local_time, print_json, print_members, print_table

messages = typer.Typer(help="Accepted messages and what became of them.", no_args_is_help=True)

_COLUMNS: Final = ("id", "state", "direction", "sender", "recipient", "service", "created", "expires", "status")
_PAST: Final = ("message_id", "state", "origin", "way", "sender", "recipient", "accepted_at", "status", "reason")
_HOPS: Final = ("ledger_id", "service", "direction", "state", "attempt", "owner", "status", "reason", "updated_at")
_TIMES: Final = ("created", "updated", "settled", "expires")
_PAGE: Final = 1_000

Row = dict[str, Any]


@messages.command("list")
def list_messages(
    recipient: Annotated[str | None, typer.Option("--recipient", help="Only those that wait for this address.")] = None,
    conversation: Annotated[
        str | None, typer.Option("--conversation", help="All of this conversation, also those with an outcome.")
    ] = None,
    history: Annotated[
        bool, typer.Option("--history", help="Messages of the gateway with and without an outcome, the archive's too.")
    ] = False,
    address: Annotated[
        str | None, typer.Option("--address", help="Only of or to this SIP or tel URI; with --history.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Accepted then or later, such as 2026-11-26T06:00; with --history.")
    ] = None,
    before: Annotated[str | None, typer.Option("--before", help="Accepted before then; with --history.")] = None,
    most: Annotated[int, typer.Option("--most", min=1, help="Stop after so many.")] = 1_000,
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """List messages without an outcome, or the gateway's history, in the order of their acceptance."""
    query = {"address": address, "since": _moment("--since", since), "before": _moment("--before", before)}
    if not history and any(query.values()):
        raise ConfigurationError("--address, --since and --before need --history")
    if history and recipient is not None:
        raise ConfigurationError("--recipient goes without --history; with it there is --address")
    with client_of(config, url, token_file) as client:
        if history:
            rows = _history(client, most, conversation=conversation, **query)
        else:
            rows = _rows(client, most, recipient=recipient, conversation=conversation)
    if as_json:
        print_json(rows)
    else:
        columns = _PAST if history else _COLUMNS
        print_table(map(_readable, rows), columns, empty="no messages")


@messages.command("show")
def show_message(
    message: Annotated[str, typer.Argument(help="Id of a message, see: wigwag messages list")],
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one message and the ways that it has taken, without what it says; also one that only the archive knows."""
    path = quote(message, safe="/")
    with client_of(config, url, token_file) as client:
        row: Row | None = None
        past: Row | None = None
        with suppress(NotFoundError):
            past = client.get(f"/v1/gateway/messages/{path}")
        if past is None or past["hops"]:
            row = client.get(f"/v1/messages/{path}")
    _show(row or (past or {})["message"], past["hops"] if past is not None else [], as_json=as_json)


@messages.command("purge")
def purge_messages(
    address: Annotated[str, typer.Argument(help="SIP or tel URI of the user whose messages lose their bodies.")],
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove the bodies of all that a user has sent and received; ids, parties and states stay.

    What still waits to be delivered fails, and its sender is told. What is under way keeps its body.
    """
    if not yes:
        typer.confirm(f"Remove the bodies of all messages of {address} for ever?", abort=True)
    with client_of(config, url, token_file) as client:
        done = client.post("/v1/gateway/purge", {"address": address})
    if as_json:
        print_json(done)
        return
    typer.echo(f"{done['removed']} bodies removed, {done['ended']} messages that waited have failed")
    if done["left"]:
        typer.echo(f"{done['left']} messages are under way and keep theirs: purge again when they have their outcome")


def _show(shown: Row, hops: list[Row], *, as_json: bool) -> None:
    if as_json:
        print_json({**shown, "hops": hops})
        return
    print_members(_readable(shown))
    if hops:
        print_table(map(_readable, hops), _HOPS, empty="")


def _moment(option: str, text: str | None) -> str | None:
    """Return a time for a query: what has no offset is UTC."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(f"{option}: {text} is no time such as 2026-11-26T06:00") from error
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).isoformat()


def _history(client: AdminClient, most: int, **query: str | None) -> list[Row]:
    rows: list[Row] = []
    token: str | None = ""
    while token is not None and len(rows) < most:
        page = client.get(
            "/v1/gateway/messages", page_token=token or None, page_size=min(_PAGE, most - len(rows)), **query
        )
        rows += page["messages"]
        token = page["next_page_token"] or None
    return rows


def _rows(client: AdminClient, most: int, **query: str | None) -> list[Row]:
    rows: list[Row] = []
    after: int | None = 0
    while after is not None and len(rows) < most:
        page = client.get("/v1/messages", after=after, limit=min(_PAGE, most - len(rows)), **query)
        rows += page["messages"]
        after = page["next"]
    return rows


def _readable(row: Row) -> Row:
    return row | {name: local_time(row[name]) for name in _TIMES if row.get(name) is not None}
