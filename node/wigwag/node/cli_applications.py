"""``wigwag applications``: programs that chat with SIP users, and their API keys, directly in the database."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from pydantic import ValidationError

from wigwag.errors import ConfigurationError

from .options import ConfigOption, JsonOption, TokenOption, UrlOption, client_of, read_secret_file, settings_of
from .terminal import console, local_time, print_json, print_members, print_table

if TYPE_CHECKING:
    from wigwag.database.applications import Applications

applications = typer.Typer(help="Applications of the user agent, and their API keys.", no_args_is_help=True)
keys = typer.Typer(help="API keys, by which applications are known.", no_args_is_help=True)
applications.add_typer(keys, name="keys")

SCOPES: Final = ("sessions:read", "sessions:write", "messages:read", "messages:write")
_LISTS: Final = ("accept_types", "accept_wrapped_types")
_SETTABLE: Final = (
    "answer_timeout",
    "fallback",
    "reject_status",
    *_LISTS,
    "idle_timeout",
    "max_duration",
    "message_expires",
    "outcome_timeout",
)
_COLUMNS: Final = ("name", "uris", "answer", "way", "source")
_KEY_COLUMNS: Final = ("id", "prefix", "scopes", "created", "comment")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of an application.")]


@applications.command("list")
def list_applications(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List applications of the settings and of the database."""
    rows = [each.model_dump() | {"source": "settings"} for each in settings_of(config).settings.ua.applications]
    rows += [row.settings() | {"source": "database"} for row in _with_table(config, lambda table: table.list())]
    for row in rows:
        row.pop("webhook_secret", None)
    if as_json:
        print_json(rows)
    else:
        print_table(rows, _COLUMNS, empty="no applications; add one: wigwag applications add NAME --uri SIP-URI")


@applications.command("show")
def show_application(name: NameArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show an application, without its webhook's secret."""
    known = [each.model_dump() for each in settings_of(config).settings.ua.applications if each.name == name]
    found = known[0] if known else _with_table(config, lambda table: table.get(name)).settings()
    found.pop("webhook_secret", None)
    if as_json:
        print_json(found)
    else:
        print_members(found)


@applications.command("add")
def add_application(
    name: NameArgument,
    uri: Annotated[
        list[str] | None, typer.Option("--uri", help="A SIP address of its own; * in the user part; several.")
    ] = None,
    answer: Annotated[str | None, typer.Option("--answer", help="automatic, ask or reject.")] = None,
    greeting: Annotated[str | None, typer.Option("--greeting", help="Sent when a call was answered.")] = None,
    way: Annotated[str | None, typer.Option("--way", help="How MSRP goes: relay, direct, or of ua.relays.")] = None,
    webhook_url: Annotated[str | None, typer.Option("--webhook-url", help="Where its events are posted.")] = None,
    webhook_secret: Annotated[
        Path | None, typer.Option("--webhook-secret-file", help="File with what posts are signed with.")
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any other setting of ua.applications; lists by blanks."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Add an application, or change one of the database: what is not given stays; pods see it within seconds."""
    given = {
        "uris": tuple(uri) if uri else None,
        "answer": answer,
        "greeting": greeting,
        "way": way,
        "webhook_url": webhook_url,
        "webhook_secret": read_secret_file(webhook_secret) if webhook_secret is not None else None,
    }
    changes = {**_policies(policy or ()), **{key: value for key, value in given.items() if value is not None}}
    settings = settings_of(config).settings.ua
    if any(each.name == name for each in settings.applications):
        raise ConfigurationError(f"{name} stands in the settings (ua.applications): change it there")
    if way is not None and way not in settings.ways:
        raise ConfigurationError(f"way: {way!r} is none of {', '.join(settings.ways)}")
    is_new = _with_table(config, lambda table: _put(table, name, changes))
    console().print(f"{'added' if is_new else 'changed'} {name}", markup=False)


async def _put(table: "Applications", name: str, changes: Mapping[str, Any]) -> bool:
    from wigwag.database.applications import ApplicationRow
    from wigwag.ua.config import ApplicationSettings

    known = {row.name: row for row in await table.list()}
    if name not in known and "uris" not in changes:
        raise ConfigurationError(f"{name} is new: --uri is needed")
    wanted = {**asdict(known.get(name, ApplicationRow(name=name))), **changes}
    try:
        judged = ApplicationSettings(**{key: value for key, value in wanted.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigurationError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if judged.webhook_url is not None and judged.webhook_secret is None:
        raise ConfigurationError("webhook_url: --webhook-secret-file is needed too, or nobody could tell who calls")
    for each in judged.uris:
        _check_uri(each)
    return await table.put(ApplicationRow(**{**wanted, **{key: getattr(judged, key) for key in changes}}))


def _check_uri(uri: str) -> None:
    """Refuse what pods could not use: one bad address would keep them from reading any of the table."""
    from wigwag.runtime.agents import ApplicationUris

    try:
        ApplicationUris([("", (uri,))])
    except ValueError as error:
        raise ConfigurationError(f"uris: {error}") from error


def _policies(texts: Iterable[str]) -> dict[str, Any]:
    """Return settings that are given as NAME=VALUE."""
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in _SETTABLE:
            raise typer.BadParameter(f"--set {text}: NAME=VALUE, where NAME is one of {', '.join(_SETTABLE)}")
        found[name] = tuple(value.split()) if name in _LISTS else value
    return found


@applications.command("remove")
def remove_application(name: NameArgument, config: ConfigOption = None) -> None:
    """Remove an application of the database with its keys; its sessions go on until they end."""
    _with_table(config, lambda table: table.delete(name))
    console().print(f"removed {name}", markup=False)


@applications.command("reload")
def reload_applications(config: ConfigOption = None, url: UrlOption = None, token_file: TokenOption = None) -> None:
    """Have running pods read applications and keys again at once; they do every few seconds anyway."""
    with client_of(config, url, token_file) as client:
        result = client.post("/v1/applications/reload")
    console().print(f"{result['applications']} applications are in force")
    if result["problem"] is not None:
        console().print(result["problem"], markup=False)


@keys.command("create")
def create_key(
    name: NameArgument,
    scope: Annotated[list[str] | None, typer.Option("--scope", help=f"One of {', '.join(SCOPES)}; none: all.")] = None,
    comment: Annotated[str, typer.Option("--comment", help="What it is for.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it, the only time that it can be read."""
    wrong = [each for each in scope or () if each not in SCOPES]
    if wrong:
        raise typer.BadParameter(f"--scope {wrong[0]}: there are {', '.join(SCOPES)}")
    settings = settings_of(config).settings

    async def create(table: "Applications") -> Any:
        if all(each.name != name for each in settings.ua.applications):
            await table.get(name)
        return await table.create_key(name, scope or SCOPES, now=time.time(), comment=comment)

    row, key = _with_table(config, create)
    if as_json:
        print_json(asdict(row) | {"key": key})
    else:
        print(key)


@keys.command("list")
def list_keys(name: NameArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List an application's keys, without what is secret of them."""
    rows = [asdict(row) for row in _with_table(config, lambda table: table.keys(name))]
    if as_json:
        print_json(rows)
    else:
        readable = [row | {"created": local_time(row["created"])} for row in rows]
        print_table(
            readable, _KEY_COLUMNS, empty=f"no keys of the database; make one: wigwag applications keys create {name}"
        )


@keys.command("revoke")
def revoke_key(
    key: Annotated[int, typer.Argument(help="Id of a key, see: wigwag applications keys list NAME")],
    config: ConfigOption = None,
) -> None:
    """Make a key worth nothing; running pods see it within seconds."""
    _with_table(config, lambda table: table.revoke_key(key))
    console().print(f"revoked {key}")


def _with_table(config: Path | None, use: "Callable[[Applications], Awaitable[Any]]") -> Any:
    from wigwag.database import Database
    from wigwag.database.applications import Applications

    from .data_directory import make_data_directory

    settings = settings_of(config).settings

    async def work() -> Any:
        if settings.database.url is None:
            make_data_directory(settings.node.data_dir)
        async with Database(settings.database_url) as database:
            return await use(Applications(database))

    return asyncio.run(work())
