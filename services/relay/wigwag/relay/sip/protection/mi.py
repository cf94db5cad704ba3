"""MI commands about bans: OpenSIPS's names, and ours that tell more."""

from dataclasses import asdict
from typing import Any

from wigwag.runtime.management import Arguments, Command

from .protection import Protection


def protection_commands(protection: Protection) -> list[Command]:
    """Return the commands."""

    def addresses(arguments: Arguments) -> dict[str, Any]:
        return {"IPs": [{"IP": view.address} for view in protection.bans.views()]}

    def bans(arguments: Arguments) -> dict[str, Any]:
        return {"Bans": [asdict(view) for view in protection.bans.views()]}

    def lift(arguments: Arguments) -> None:
        protection.lift(arguments["address"])

    return [
        Command(
            name="pike:list", run=addresses, aliases=("pike_list",), changes=False,
            summary="Addresses that SIP lets in no more.",
        ),
        Command(name="wigwag:bans", run=bans, changes=False, summary="Banned addresses, why and until when."),
        Command(name="wigwag:unban", run=lift, required=("address",), summary="Let an address in again."),
    ]  # fmt: skip
