"""``wigwag user``: subscribers, directly in the database."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wigwag.errors import ConfigurationError

from .options import ConfigOption, JsonOption, read_secret_file, settings_of
from .terminal import console, print_json, print_members, print_table

if TYPE_CHECKING:
    from wigwag.database import Blocks, Database, Subscribers

users = typer.Typer(help="Users who may AUTH at the relay.", no_args_is_help=True)

UserArgument = Annotated[str, typer.Argument(metavar="USER", help="user@domain")]
SenderArgument = Annotated[
    str,
    typer.Argument(
        metavar="SENDER", help="user@domain, a domain, or a number; * stands for any characters, alone for everybody."
    ),
]
PasswordFileOption = Annotated[
    Path | None,
    typer.Option("--password-file", help="File with the password; - reads a line of standard input. Else it is asked."),
]
StoreOption = Annotated[
    bool,
    typer.Option("--store-password", help="Keep the password itself, not only its hashes, as use_ha1=no wants it."),
]


@users.command("add")
def add(
    user: UserArgument,
    password_file: PasswordFileOption = None,
    store_password: StoreOption = False,
    config: ConfigOption = None,
) -> None:
    """Add a user. The password never is an argument: those are seen by everybody on the machine."""
    username, domain = _split(user)
    password = _password(password_file)
    _with_subscribers(config, lambda table: table.add(username, domain, password, store_password=store_password))
    console().print(f"added {user}")


@users.command("passwd")
def passwd(
    user: UserArgument,
    password_file: PasswordFileOption = None,
    store_password: StoreOption = False,
    config: ConfigOption = None,
) -> None:
    """Set a user's password."""
    username, domain = _split(user)
    password = _password(password_file)
    _with_subscribers(
        config, lambda table: table.set_password(username, domain, password, store_password=store_password)
    )
    console().print(f"changed {user}")


@users.command("remove")
def remove(user: UserArgument, config: ConfigOption = None) -> None:
    """Remove a user; sessions that stand are ended with `wigwag relay sessions end`."""
    username, domain = _split(user)
    _with_subscribers(config, lambda table: table.remove(username, domain))
    console().print(f"removed {user}")


@users.command("permit")
def permit(
    user: UserArgument,
    relay: Annotated[bool, typer.Option("--relay/--no-relay", help="Whether AUTH is granted, or answered 403.")],
    config: ConfigOption = None,
) -> None:
    """Give or take a user's right to the relay."""
    username, domain = _split(user)
    _with_subscribers(config, lambda table: table.set_may_relay(username, domain, relay))
    console().print(f"{user} {'may' if relay else 'may not'} use the relay")


@users.command("block")
def block(user: UserArgument, sender: SenderArgument, config: ConfigOption = None) -> None:
    """Let nothing that SENDER sends reach USER; running nodes know it within 30 s."""
    username, domain = _split(user)
    added = _with_database(config, lambda database: _blocks(database).add(username, domain, sender))
    console().print(f"{user} blocks {sender}" if added else f"{user} blocked {sender} already")


@users.command("unblock")
def unblock(user: UserArgument, sender: SenderArgument, config: ConfigOption = None) -> None:
    """Take a block back."""
    username, domain = _split(user)
    _with_database(config, lambda database: _blocks(database).remove(username, domain, sender))
    console().print(f"{user} does not block {sender} any more")


@users.command("blocked")
def blocked(user: UserArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List whom a user blocks."""
    username, domain = _split(user)
    found = _with_database(config, lambda database: _blocks(database).of(username, domain))
    if as_json:
        print_json(found)
    else:
        print_table([{"sender": sender} for sender in found], ("sender",), empty=f"{user} blocks nobody")


@users.command("show")
def show(user: UserArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show a user, without credentials."""
    username, domain = _split(user)
    found = _with_subscribers(config, lambda table: table.show(username, domain))
    kinds = ("password", "ha1", "ha1_sha256", "ha1_sha512t256")
    stored = [kind for kind in kinds if getattr(found, kind)]
    members = {"username": found.username, "domain": found.domain, "credentials": stored, "may_relay": found.may_relay}
    if as_json:
        print_json(members)
    else:
        print_members(members)


@users.command("list")
def list_users(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List users of the settings and of the database."""
    rows = [
        {"user": f"{user.username}@{user.domain}", "source": "settings"} for user in settings_of(config).settings.users
    ]
    found = _with_subscribers(config, lambda table: table.list())
    rows += [{"user": f"{user.username}@{user.domain}", "source": "database"} for user in found]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, ("user", "source"), empty="no users; add one: wigwag user add NAME@DOMAIN")


def _with_subscribers(config: Path | None, use: "Callable[[Subscribers], Awaitable[Any]]") -> Any:
    from wigwag.database import Subscribers

    return _with_database(config, lambda database: use(Subscribers(database)))


def _with_database(config: Path | None, use: "Callable[[Database], Awaitable[Any]]") -> Any:
    from wigwag.database import Database

    from .data_directory import make_data_directory

    settings = settings_of(config).settings

    async def work() -> Any:
        if settings.database.url is None:
            make_data_directory(settings.node.data_dir)
        async with Database(settings.database_url) as database:
            return await use(database)

    return asyncio.run(work())


def _blocks(database: "Database") -> "Blocks":
    from wigwag.database import Blocks

    return Blocks(database)


def _split(user: str) -> tuple[str, str]:
    username, at, domain = user.rpartition("@")
    if not (username and at and domain):
        raise ConfigurationError(f"{user!r} is no user: write it as name@domain")
    return username, domain


def _password(file: Path | None) -> str:
    """Return the password from the file, from a pipe, or by asking twice on a terminal."""
    if file is not None and str(file) != "-":
        return read_secret_file(file)
    if file is None and sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    password = sys.stdin.readline(65_536).rstrip("\r\n")
    if not password:
        raise ConfigurationError("standard input holds no password")
    return password
