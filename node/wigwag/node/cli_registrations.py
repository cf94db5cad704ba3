"""``wigwag registrations``: who is registered, on all pods, through the admin API of a running node."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import typer

from .options import ConfigOption, JsonOption, TokenOption, UrlOption, client_of
from .terminal import console, local_time, path_part, print_json, print_table

registrations = typer.Typer(help="Registered SIP users and their contacts.", no_args_is_help=True)

UserArgument = Annotated[str, typer.Argument(metavar="USER", help="user@domain")]
_COLUMNS = ("user", "contact", "expires", "q", "transport", "remote", "pod", "user_agent")


@registrations.command("list")
def list_registrations(
    prefix: Annotated[str | None, typer.Option("--prefix", help="Only users whose name begins so.")] = None,
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the contacts of all users, on all pods, by user."""
    with client_of(config, url, token_file) as client:
        rows = list(client.registrations(prefix))
    if as_json:
        print_json(rows)
    else:
        print_table(_readable(rows), _COLUMNS, empty="nobody is registered")


@registrations.command("show")
def show_registration(
    user: UserArgument,
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one user's contacts."""
    with client_of(config, url, token_file) as client:
        found = client.get(f"/v1/registrations/{path_part(user)}")
    if as_json:
        print_json(found)
    else:
        print_table(_readable([found]), _COLUMNS, empty="nobody is registered")


@registrations.command("remove")
def remove_registration(
    user: UserArgument,
    contact: Annotated[
        list[str] | None, typer.Option("--contact", help="Only this contact URI, may be repeated; none: all.")
    ] = None,
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenOption = None,
) -> None:
    """Remove a user's contacts; a client that still is there registers again, unless it is kept from it."""
    query = "&".join(f"contact={path_part(each)}" for each in contact or ())
    with client_of(config, url, token_file) as client:
        client.delete(f"/v1/registrations/{path_part(user)}" + (f"?{query}" if query else ""))
    console().print(f"removed {', '.join(contact) if contact else 'all contacts'} of {user}", soft_wrap=True)


def _readable(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        for binding in row["bindings"]:
            user = row["aor"].removeprefix("sip:")
            yield {**binding, "user": user, "expires": local_time(binding["expires"])}
