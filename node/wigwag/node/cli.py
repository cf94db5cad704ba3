"""The ``wigwag`` command.

Libraries that only some commands need are imported inside them: ``wigwag --help`` answers at once.
"""

import sys
from typing import Annotated

import typer

from wigwag.errors import WigwagError

from .cli_applications import applications
from .cli_bans import bans
from .cli_chat import chat
from .cli_drain import drain
from .cli_keys import keys
from .cli_messages import messages
from .cli_mi import mi
from .cli_pools import pools
from .cli_registrations import registrations
from .cli_relay import certificates, connections, profiles, relay, routes, trace
from .cli_sessions import sessions
from .cli_sip import receive, send
from .cli_status import status
from .cli_users import users
from .cli_verify import verify
from .options import ConfigOption, JsonOption, settings_of
from .terminal import print_error, print_json, print_table

app = typer.Typer(
    name="wigwag",
    help="A messaging core for IMS and unified communications.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(users, name="user")
app.add_typer(relay, name="relay")
app.add_typer(sessions, name="sessions")
app.add_typer(applications, name="applications")
app.add_typer(registrations, name="registrations")
app.add_typer(connections, name="connections")
app.add_typer(profiles, name="profiles")
app.add_typer(routes, name="routes")
app.add_typer(pools, name="pools")
app.add_typer(certificates, name="certificates")
app.add_typer(bans, name="bans")
app.add_typer(keys, name="keys")
app.add_typer(messages, name="messages")
app.add_typer(verify, name="verify")
app.add_typer(status, name="status")
app.command()(mi)
app.command()(trace)
app.command()(drain)
app.command()(send)
app.command()(receive)
app.command()(chat)


@app.command()
def run(
    services: Annotated[list[str] | None, typer.Argument(help="Services to host; none: all.")] = None,
    config: ConfigOption = None,
    demo: Annotated[bool, typer.Option("--demo", help="Add a demo domain, users and a self-made certificate.")] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes that share the ports; else node.workers.")
    ] = None,
) -> None:
    """Run a node with all services or the named ones."""
    from .running import run_node

    run_node(services or [], config=config, demo=demo, workers=workers)


@app.command("check-config")
def check_config(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print every setting, where its value came from, and what is wrong."""
    rows = [
        {"setting": row.setting, "value": row.value, "source": str(row.source)} for row in settings_of(config).rows()
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, ("setting", "value", "source"), empty="no settings")


@app.command()
def demo(
    config: ConfigOption = None,
    megabytes: Annotated[int, typer.Option("--megabytes", min=1, max=1024, help="Size of the file, in MiB.")] = 20,
    embedded: Annotated[bool, typer.Option("--embedded", help="Use an own relay even when a demo node runs.")] = False,
) -> None:
    """Play a conversation through a relay on real sockets and check every byte."""
    from .demo import play_demo

    play_demo(config=config, octets=megabytes * 1024 * 1024, embedded=embedded)


@app.command()
def version() -> None:
    """Print the program's version."""
    from importlib.metadata import version

    typer.echo(f"wigwag {version('wigwag')}")


def main() -> None:
    """Run the command; an error is one clear text in red and exit status 1."""
    try:
        app()
    except WigwagError as error:
        print_error(str(error))
        sys.exit(1)
    except BrokenPipeError:
        # The reader of a pipe has seen enough; the interpreter would complain again when it flushes.
        sys.stderr.close()
        sys.exit(1)
