"""``wigwag chat``: a conversation in a terminal (RFC 4975, RFC 3428)."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wigwag.errors import ConfigurationError

from .options import ConfigOption
from .sip_options import AsOption, CaOption, DeviceOption, PasswordFileOption, ServerOption, UsernameOption
from .terminal import print_error

if TYPE_CHECKING:
    from .account_endpoint import EndpointAccount


def chat(
    user: AsOption,
    target: Annotated[str | None, typer.Argument(metavar="[SIP-URI]", help="Whom to call; none: wait.")] = None,
    server: ServerOption = None,
    username: UsernameOption = None,
    password_file: PasswordFileOption = None,
    ca: CaOption = None,
    relay: Annotated[
        str | None, typer.Option("--relay", metavar="MSRP-URI", help="Your MSRP relay; else the domain's.")
    ] = None,
    direct: Annotated[
        bool, typer.Option("--direct", help="Use no relay, and no TLS: peers connect to this host.")
    ] = False,
    downloads: Annotated[Path, typer.Option("--downloads", help="Where received files go.")] = Path(),
    device: DeviceOption = "chat",
    config: ConfigOption = None,
) -> None:
    """Chat with somebody, or wait for a call. A line is a message; /help tells the rest.

    Exit status: 0, 3 something was accepted for later, 4 refused, 5 not reached or not confirmed, 2 wrong usage.
    """
    from wigwag.runtime import logging
    from wigwag.transport.errors import TransportError
    from wigwag.transport.sip_client_options import RegistrationError

    from .account_endpoint import EndpointAccount
    from .chat.addresses import checked_target
    from .chat.attempts import REFUSED, UNANSWERED
    from .sip_account import SipAccount

    # What goes wrong is told by the chat itself; a log would stand between its lines.
    logging.configure(level="critical", style="text")
    try:
        account = SipAccount.of(
            user,
            server=server,
            username=username,
            password_file=password_file,
            ca_file=ca,
            config=config,
            device=device,
        )
        callee = checked_target(target, user) if target is not None else None
        endpoint = EndpointAccount.of(account, relay=relay, direct=direct)
        status = asyncio.run(_chat(endpoint, callee, downloads))
    except ConfigurationError as error:
        raise typer.BadParameter(str(error)) from error
    except RegistrationError as error:
        print_error(str(error))
        status = REFUSED if error.failure.is_final else UNANSWERED
    except TransportError as error:
        print_error(str(error))
        status = UNANSWERED
    raise typer.Exit(status)


async def _chat(account: "EndpointAccount", target: str | None, downloads: Path) -> int:
    from .chat.chat import Chat
    from .chat.screen import screen

    with screen() as shown:
        return await Chat(account, shown, target=target, downloads=downloads).run()
