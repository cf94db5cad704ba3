"""OpenSIPS's MI commands for registrations (module usrloc), so that scripts made for it go on working."""

import time
from typing import Any, Final

from wigwag.errors import NotFoundError
from wigwag.runtime.management import Arguments, Command
from wigwag.store import Binding, Registration

from .registered_users import RegisteredUsers
from .work import RegistrationWork

TABLE: Final = "location"
"""The only table (OpenSIPS: "domain") that there is."""


def registration_commands(users: RegisteredUsers, work: RegistrationWork) -> list[Command]:
    """Return the commands."""

    async def show(arguments: Arguments) -> dict[str, Any]:
        _check_table(arguments)
        return _record(await users.show(arguments["aor"]))

    async def dump(arguments: Arguments) -> dict[str, Any]:
        brief = bool(arguments.get("brief"))
        records = [_record(registration, brief=brief) async for registration in users.all()]
        return {"Domains": [{"name": TABLE, "hash_size": 1, "AORs": records}]}

    async def remove(arguments: Arguments) -> None:
        _check_table(arguments)
        await users.remove(arguments["aor"])

    async def remove_contact(arguments: Arguments) -> None:
        _check_table(arguments)
        await users.remove(arguments["aor"], [arguments["contact"].strip("<>")])

    async def reload_block_lists(arguments: Arguments) -> dict[str, int]:
        return {"entries": await work.reload_block_lists()}

    return [
        Command(
            name="usrloc:show_contact",
            run=show,
            aliases=("ul_show_contact",),
            required=("table_name", "aor"),
            changes=False,
            summary="A user's contacts.",
        ),
        Command(
            name="usrloc:dump",
            run=dump,
            aliases=("ul_dump",),
            optional=("brief",),
            changes=False,
            summary="All users and their contacts; brief: only the users.",
        ),
        Command(
            name="usrloc:rm",
            run=remove,
            aliases=("ul_rm",),
            required=("table_name", "aor"),
            summary="Remove all contacts of a user.",
        ),
        Command(
            name="usrloc:rm_contact",
            run=remove_contact,
            aliases=("ul_rm_contact",),
            required=("table_name", "aor", "contact"),
            summary="Remove a contact of a user.",
        ),
        Command(
            name="wigwag:reload_block_lists",
            run=reload_block_lists,
            summary="Look at once whether block lists have changed.",
        ),
    ]


def _check_table(arguments: Arguments) -> None:
    if arguments["table_name"] != TABLE:
        raise NotFoundError(f"no table {arguments['table_name']!r}; there is {TABLE!r}")


def _record(registration: Registration, *, brief: bool = False) -> dict[str, Any]:
    record: dict[str, Any] = {"AOR": registration.aor.removeprefix("sip:")}
    if not brief:
        record["Contacts"] = [_contact(binding) for binding in registration.bindings]
    return record


def _contact(binding: Binding) -> dict[str, Any]:
    flow = binding.flow
    found: dict[str, Any] = {
        "Contact": binding.contact,
        "Expires": max(0, round(binding.expires_at - time.time())),
        "Q": "" if binding.q == 1000 else f"{binding.q / 1000:g}",
        "Callid": binding.call_id,
        "Cseq": binding.cseq,
        "User-agent": binding.user_agent,
        "State": "CS_SYNC",
        "Flags": 0,
        "Cflags": "",
        "Methods": 4294967295,
    }
    if binding.path:
        found["Path"] = ", ".join(binding.path)
    if flow is not None:
        found |= {"Received": f"sip:{flow.remote}", "Socket": f"{flow.transport}:{flow.listener}"}
    if binding.instance:
        found["SIP_instance"] = binding.instance
    return found
