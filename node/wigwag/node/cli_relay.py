"""``wigwag relay|connections|profiles|routes|certificates|trace``, through the admin API of a running node."""

import re
from typing import Annotated, Any

import typer

from .options import ConfigOption, JsonOption, TokenOption, UrlOption, client_of
from .terminal import console, local_time, path_part, print_json, print_members, print_table

relay = typer.Typer(help="The MSRP relay.", no_args_is_help=True)
sessions = typer.Typer(help="Sessions at the relay.", no_args_is_help=True)
relay.add_typer(sessions, name="sessions")
connections = typer.Typer(help="Connections of the relay.", no_args_is_help=True)
profiles = typer.Typer(help="TCP connection profiles (tcp_mgm).", no_args_is_help=True)
routes = typer.Typer(help="The routing tables: MSRP's and SIP's.", no_args_is_help=True)
certificates = typer.Typer(help="Certificates of the relay's listeners.", no_args_is_help=True)

_SESSION_ID = re.compile(r"[0-9a-f]{16}")
_SESSION_COLUMNS = ("id", "user", "state", "pod", "listener", "remote", "expires", "messages_in", "messages_out")
_CONNECTION_COLUMNS = ("id", "kind", "listener", "remote", "sessions", "bytes_received", "bytes_sent", "profile")
_PROFILE_COLUMNS = ("id", "priority", "proto", "remote", "remote_port", "local", "local_port", "con_lifetime")
_ROUTE_COLUMNS = ("number", "name", "when", "then")
_CONDITIONS = ("listener", "source_network", "methods", "scheme", "user", "domain", "sender")


@sessions.command("list")
def list_sessions(
    user: Annotated[str | None, typer.Option("--user", help="Only of this user: name or name@realm.")] = None,
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the sessions of all pods, oldest first."""
    with client_of(config, url, token_file) as client:
        rows = sorted(client.sessions(user), key=lambda row: float(row["created"]))
    if as_json:
        print_json(rows)
    else:
        print_table(map(_readable_session, rows), _SESSION_COLUMNS, empty="no sessions")


@sessions.command("show")
def show_session(
    session: str,
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one session with its counters."""
    with client_of(config, url, token_file) as client:
        found = client.get(f"/v1/relay/sessions/{path_part(session)}")
    if as_json:
        print_json(found)
    else:
        print_members(_readable_session(found))


@sessions.command("end")
def end_session(
    session: str, config: ConfigOption = None, url: UrlOption = None, token_file: TokenOption = None
) -> None:
    """End a session: its URI answers 481 from now on."""
    with client_of(config, url, token_file) as client:
        client.delete(f"/v1/relay/sessions/{path_part(session)}")
    console().print(f"ended {session}", markup=False)


@connections.command("list")
def list_connections(
    config: ConfigOption = None, url: UrlOption = None, token_file: TokenOption = None, as_json: JsonOption = False
) -> None:
    """List connections, oldest first."""
    with client_of(config, url, token_file) as client:
        rows = list(client.connections())
    if as_json:
        print_json(rows)
    else:
        print_table(rows, _CONNECTION_COLUMNS, empty="no connections")


@profiles.command("list")
def list_profiles(
    config: ConfigOption = None, url: UrlOption = None, token_file: TokenOption = None, as_json: JsonOption = False
) -> None:
    """List TCP profiles in the order in which they are tried."""
    with client_of(config, url, token_file) as client:
        rows = client.get("/v1/relay/profiles")
    if as_json:
        print_json(rows)
    else:
        print_table(rows, _PROFILE_COLUMNS, empty="no profiles: our own defaults hold for every connection")


@profiles.command("show")
def show_profile(
    connection: Annotated[int, typer.Argument(help="Id of a connection, see: wigwag connections list")],
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the TCP profile that holds for a connection."""
    with client_of(config, url, token_file) as client:
        profile = client.get(f"/v1/relay/connections/{connection}")["profile"]
    if as_json:
        print_json(profile)
    elif profile is None:
        console().print("no row matches: our own defaults hold")
    else:
        print_members(profile)


@profiles.command("reload")
def reload_profiles(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read the TCP profiles again and apply them to live connections."""
    with client_of(config, url, token_file) as client:
        result = client.post("/v1/relay/profiles/reload", dry_run=dry_run)
    if as_json:
        print_json(result)
        return
    for reason in result["invalid"]:
        console().print(f"not used: {reason}", markup=False)
    print_table(result["changes"], ("connection_id", "remote", "changes"), empty="nothing changes for live connections")
    verb = "would be" if dry_run else "are"
    console().print(f"{result['profiles']} profiles {verb} in force")


@routes.command("list")
def list_routes(
    config: ConfigOption = None, url: UrlOption = None, token_file: TokenOption = None, as_json: JsonOption = False
) -> None:
    """List the rows of the SIP routing table in the order in which they are tried."""
    with client_of(config, url, token_file) as client:
        rows = client.get("/v1/relay/sip/routes")
    if as_json:
        print_json(rows)
    else:
        print_table(map(_readable_route, rows), _ROUTE_COLUMNS, empty="no routes: what stands in their place holds")


@routes.command("reload")
def reload_routes(config: ConfigOption = None, url: UrlOption = None, token_file: TokenOption = None) -> None:
    """Read the routing tables and pools again."""
    with client_of(config, url, token_file) as client:
        console().print(f"{client.post('/v1/relay/routes/reload')['routes']} routes are in force")


@certificates.command("reload")
def reload_certificates(
    config: ConfigOption = None, url: UrlOption = None, token_file: TokenOption = None, as_json: JsonOption = False
) -> None:
    """Load all certificates again; connections that stand keep theirs."""
    with client_of(config, url, token_file) as client:
        results = client.post("/v1/relay/certificates/reload")
    if as_json:
        print_json(results)
    else:
        rows = [{"listener": listener, "result": result} for listener, result in results.items()]
        print_table(rows, ("listener", "result"), empty="no listener has certificates")
    if any(result != "reloaded" for result in results.values()):
        raise typer.Exit(1)


def trace(
    whose: Annotated[
        str | None, typer.Argument(metavar="USER|SESSION", help="user@realm or a session's id; none: list.")
    ] = None,
    call_id: Annotated[str | None, typer.Option("--call-id", help="SIP messages of this Call-ID instead.")] = None,
    off: Annotated[bool, typer.Option("--off", help="End the trace.")] = False,
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write one user's, session's or call's traffic to a pcap file, bodies and credentials blanked.

    A user's SIP and MSRP go to the same file. SIP also goes to the capture server of trace.hep, if one is set.
    """
    if whose is not None and call_id is not None:
        raise typer.BadParameter("either USER|SESSION or --call-id")
    with client_of(config, url, token_file) as client:
        if call_id is not None:
            rows = [client.post("/v1/relay/trace/stop" if off else "/v1/relay/trace", {"call_id": call_id})]
        elif whose is None:
            rows = client.get("/v1/relay/trace")
        else:
            selector = {"session" if _SESSION_ID.fullmatch(whose) else "user": whose}
            rows = [client.post("/v1/relay/trace/stop" if off else "/v1/relay/trace", selector)]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, ("selector", "active", "packets", "bytes", "file"), empty="no traces")


def _readable_route(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with what it asks for, and what it does, in a column each."""
    action = row["action"]
    what = {key: value for key, value in row.items() if key not in ("number", "name", "action", *_CONDITIONS)}
    when = {key: row[key] for key in _CONDITIONS if key in row}
    return {
        "number": row["number"],
        "name": row.get("name", ""),
        "when": " ".join(f"{key}={_short(value)}" for key, value in when.items()) or "always",
        "then": " ".join([action, *(f"{key}={_short(value)}" for key, value in what.items())]),
    }


def _short(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _readable_session(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "user": f"{row['user']}@{row['realm']}",
        "created": local_time(row["created"]),
        "expires": local_time(row["expires"]),
    }
