"""``wigwag send|receive``: SIP messages from scripts and terminals (RFC 3428)."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wigwag.errors import ConfigurationError

from .options import ConfigOption, JsonOption
from .sip_options import AsOption, CaOption, DeviceOption, PasswordFileOption, ServerOption, UsernameOption
from .terminal import console, print_error, print_json

if TYPE_CHECKING:
    from wigwag.protocols.sip.user_agent import MessageReceived

LARGEST_TEXT = 1_048_576
"""Octets of the largest message that is read from a file or standard input."""


def send(
    user: AsOption,
    to: Annotated[str, typer.Option("--to", metavar="URI", help="Who gets it: a sip, sips or tel URI.")],
    text: Annotated[str | None, typer.Argument(help="The text; - or nothing reads standard input.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="Send this file in place of a text.")] = None,
    content_type: Annotated[str, typer.Option("--content-type", help="Its media type.")] = "text/plain",
    server: ServerOption = None,
    username: UsernameOption = None,
    password_file: PasswordFileOption = None,
    ca: CaOption = None,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds to wait for the outcome.")] = 40.0,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a message by SIP. Exit status: 0 delivered, 3 accepted for later, 4 refused, 5 no answer, 2 wrong usage."""
    from wigwag.protocols.sip import SipError

    from .pager import send_message
    from .sip_account import SipAccount

    try:
        body = _body(text, file)
        account = SipAccount.of(
            user, server=server, username=username, password_file=password_file, ca_file=ca, config=config
        )
        report = asyncio.run(send_message(account, to, content_type, body, timeout))
    except ConfigurationError as error:
        raise typer.BadParameter(str(error)) from error
    except SipError as error:
        raise typer.BadParameter(f"--to {to}: {error.reason}") from error
    if as_json:
        print_json(report.members())
    elif report.exit_status < 4:
        console().print(report.text, markup=False)
    else:
        print_error(report.text)
    raise typer.Exit(report.exit_status)


def receive(
    user: AsOption,
    server: ServerOption = None,
    username: UsernameOption = None,
    password_file: PasswordFileOption = None,
    ca: CaOption = None,
    count: Annotated[int | None, typer.Option("--count", min=1, help="End after so many messages.")] = None,
    timeout: Annotated[float | None, typer.Option("--timeout", min=0.1, help="End after so many seconds.")] = None,
    device: DeviceOption = "cli",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register by SIP and print messages until Ctrl-C. Exit status: 0, 4 refused, 5 not reached or --count missed."""
    from wigwag.transport.errors import TransportError
    from wigwag.transport.sip_client import RegistrationError

    from .pager import REFUSED, UNANSWERED, Receiving
    from .sip_account import SipAccount

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
    except ConfigurationError as error:
        raise typer.BadParameter(str(error)) from error

    async def run() -> int:
        return await Receiving(
            account,
            show=_print_json_line if as_json else _print_message,
            changed=lambda reached: _announce(user, str(account.server), reached),
            count=count,
            timeout=timeout,
        ).run()

    try:
        status = asyncio.run(run())
    except RegistrationError as error:
        print_error(str(error))
        status = REFUSED if error.failure.is_final else UNANSWERED
    except TransportError as error:
        print_error(str(error))
        status = UNANSWERED
    raise typer.Exit(status)


def _announce(user: str, server: str, reached: bool) -> None:
    state = f"is registered at {server}; Ctrl-C ends" if reached else f"has lost {server}, and tries again"
    console(to_stderr=True).print(f"{user} {state}", markup=False)


def _print_message(message: "MessageReceived") -> None:
    from wigwag.runtime.logging import escaped

    from .pager import readable_message

    # Line by line: a text has several, and a peer chose them: escape sequences must not reach the terminal.
    for line in readable_message(message).splitlines():
        print(escaped(line), flush=True)


def _print_json_line(message: "MessageReceived") -> None:
    from .pager import message_as_json

    print(message_as_json(message), flush=True)


def _body(text: str | None, file: Path | None) -> bytes:
    """Return what is to be sent.

    Raises:
        ConfigurationError: Nothing, two things, or too much.
    """
    if text not in (None, "-") and file is not None:
        raise ConfigurationError("a text and --file: only one can be sent")
    if file is not None:
        try:
            with file.open("rb") as opened:
                body = opened.read(LARGEST_TEXT + 1)
        except OSError as error:
            raise ConfigurationError(f"--file {file}: {error.strerror}") from error
    elif text is None or text == "-":
        body = sys.stdin.buffer.read(LARGEST_TEXT + 1)
    else:
        body = text.encode("utf-8", "surrogateescape")
    if len(body) > LARGEST_TEXT:
        raise ConfigurationError(f"a message has at most {LARGEST_TEXT} octets")
    if not body:
        raise ConfigurationError("there is nothing to send")
    return body
