"""Options of commands that are SIP users: who one is, and how to reach the server."""

from pathlib import Path
from typing import Annotated

import typer

AsOption = Annotated[str, typer.Option("--as", metavar="SIP-URI", help="Who you are, such as sip:alice@example.com.")]
ServerOption = Annotated[
    str | None,
    typer.Option("--server", help="udp:HOST[:PORT], tcp:..., tls:..., ws://... or wss://...; else the domain's."),
]
UsernameOption = Annotated[str | None, typer.Option("--username", help="Name for digest; else the user of --as.")]
PasswordFileOption = Annotated[
    Path | None,
    typer.Option("--password-file", help="File with the password; else WIGWAG_PASSWORD, else it is asked."),
]
CaOption = Annotated[Path | None, typer.Option("--ca", help="PEM file of authorities to trust; else the system's.")]
DeviceOption = Annotated[str, typer.Option("--device", help="Name of this device: another one is reached too.")]
