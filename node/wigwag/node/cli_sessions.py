"""``wigwag sessions``: sessions of applications, through the gRPC of a running node."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from wigwag.errors import NotAuthenticatedError, ServiceError

from .data_directory import AdminNote
from .options import ConfigOption, JsonOption, read_secret_file, settings_of
from .terminal import console, print_json, print_members, print_table

sessions = typer.Typer(help="Sessions of applications with SIP users.", no_args_is_help=True)

_COLUMNS: Final = ("session_id", "application", "state", "direction", "remote_uri", "pod", "created_at")

SessionArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of a session, see: wigwag sessions list")]
ApplicationOption = Annotated[str, typer.Option("--application", help="Of this one only.")]
KeyOption = Annotated[
    Path | None,
    typer.Option("--key-file", help="File with an application's API key; else an operator's token of rpc.tokens."),
]
TargetOption = Annotated[
    str | None, typer.Option("--rpc", metavar="HOST:PORT", help="gRPC of the node; else that of the data directory.")
]


@sessions.command("list")
def list_sessions(
    application: ApplicationOption = "",
    rpc: TargetOption = None,
    key_file: KeyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List sessions that have not ended."""

    async def work(client: Any) -> list[dict[str, Any]]:
        return [_members(session.known) async for session in client.sessions()]

    rows = _with_client(config, rpc, key_file, work, application)
    if as_json:
        print_json(rows)
    else:
        print_table(rows, _COLUMNS, empty="no sessions")


@sessions.command("show")
def show_session(
    session: SessionArgument,
    rpc: TargetOption = None,
    key_file: KeyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a session, also one that has ended."""

    async def work(client: Any) -> dict[str, Any]:
        return _members((await client.session(session).refresh()).known)

    found = _with_client(config, rpc, key_file, work)
    if as_json:
        print_json(found)
    else:
        print_members(found)


@sessions.command("end")
def end_session(
    session: SessionArgument, rpc: TargetOption = None, key_file: KeyOption = None, config: ConfigOption = None
) -> None:
    """Hang up."""
    _with_client(config, rpc, key_file, lambda client: client.session(session).end())
    console().print(f"ended {session}", markup=False)


@sessions.command("send")
def send_message(
    session: SessionArgument,
    text: Annotated[str, typer.Argument(help="The text.")],
    rpc: TargetOption = None,
    key_file: KeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Send a text; prints its id once it is durable, see: wigwag messages show ID."""
    sent = _with_client(config, rpc, key_file, lambda client: client.session(session).send(text))
    print(sent.message_id)


@sessions.command("tail")
def tail_events(
    session: Annotated[str | None, typer.Argument(metavar="[ID]", help="Of this session only.")] = None,
    application: ApplicationOption = "",
    rpc: TargetOption = None,
    key_file: KeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Print events as they happen, a line of JSON each, until Ctrl-C."""

    async def show(client: Any) -> None:
        print("waiting for events; Ctrl-C ends", file=sys.stderr, flush=True)
        async for event in client.raw_events():
            if session in (None, event.session_id):
                print(_json_line(event), flush=True)

    async def work(client: Any) -> None:
        showing = asyncio.create_task(show(client))
        # A loop that is not told of signals may sleep on after one that comes just before it goes to sleep.
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, showing.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await showing

    with contextlib.suppress(KeyboardInterrupt):
        _with_client(config, rpc, key_file, work, application, watch=True)


def _members(message: Any) -> dict[str, Any]:
    from google.protobuf.json_format import MessageToDict

    found: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    for name in ("state", "direction", "end_cause"):
        prefix = {"state": "SESSION_STATE_", "direction": "SESSION_DIRECTION_", "end_cause": "END_CAUSE_"}[name]
        if name in found:
            found[name] = found[name].removeprefix(prefix).lower()
    return found


def _json_line(event: Any) -> str:
    from google.protobuf.json_format import MessageToJson

    return MessageToJson(event, preserving_proto_field_name=True, indent=None)


def _with_client(
    config: Path | None,
    rpc: str | None,
    key_file: Path | None,
    use: Callable[[Any], Awaitable[Any]],
    application: str = "",
    *,
    watch: bool = False,
) -> Any:
    from wigwag.client import Client

    settings = settings_of(config).settings
    target = rpc or AdminNote(settings.node.data_dir).rpc()
    if target is None:
        raise ServiceError(f"no node runs in {settings.node.data_dir}; start one: wigwag run, or give --rpc")
    tokens = [item.token for item in settings.rpc.tokens if item.role == "operate" and item.token is not None]

    async def work() -> Any:
        own = read_secret_file(key_file) if key_file is not None else None
        key = own or (tokens[0] if tokens else None)
        async with Client(target, key=key, application=application, watch=watch, timeout=10.0) as client:
            return await use(client)

    try:
        return asyncio.run(work())
    except NotAuthenticatedError as error:
        raise NotAuthenticatedError(f"{error}; give --key-file, or a token in rpc.tokens of the settings") from error
