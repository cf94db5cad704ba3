"""What every SQL database has to do: SQLite, PostgreSQL, and MariaDB by both of its names."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from tests.support.opensips import DOMAIN, opensips_tables
from tests.support.sql import SqlServer, execute
from wigwag.database import (
    BlockRow,
    Blocks,
    Database,
    RelayRouteRow,
    Subscribers,
    TcpProfileRow,
    relay_routes,
    sip_pool_members,
    sip_routes,
    tcp_profiles,
)
from wigwag.database.migrations import VERSION_TABLE
from wigwag.database.tables import metadata
from wigwag.errors import ConflictError, NotFoundError
from wigwag.protocols.digest import Algorithm, StoredCredentials, ha1


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with Database(url) as opened:
        yield opened


@pytest.fixture
def subscribers(database: Database) -> Subscribers:
    return Subscribers(database)


def dialect(url: str) -> str:
    return url.partition(":")[0]


# The tables


async def test_migrations_make_exactly_the_tables_that_are_queried(database: Database) -> None:
    def differences(connection: Connection) -> list[Any]:
        options = {"compare_type": False, "version_table": VERSION_TABLE}
        found: list[Any] = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
        return found

    async with database.transaction() as connection:
        assert await connection.run_sync(differences) == []


async def test_database_is_opened_again_with_what_it_held(url: str) -> None:
    async with Database(url) as database:
        await Subscribers(database).add("alice", "example.com", "secret")
    async with Database(url) as database:
        assert await Subscribers(database).credentials("alice", "example.com") is not None


async def test_several_users_in_one_process_may_open_a_new_database_at_once(url: str) -> None:
    async def use(name: str) -> None:
        async with Database(url) as database:
            await Subscribers(database).add(name, "example.com", "secret")

    await asyncio.gather(*(use(f"user{number}") for number in range(3)))
    async with Database(url) as database:
        assert len(await Subscribers(database).list()) == 3


async def test_two_processes_may_open_a_new_database_at_once(url: str) -> None:
    program = (
        "import asyncio, sys\n"
        "from wigwag.database import Database, Subscribers\n"
        "async def use():\n"
        "    async with Database(sys.argv[1]) as database:\n"
        "        await Subscribers(database).add(sys.argv[2], 'example.com', 'secret')\n"
        "asyncio.run(use())\n"
    )
    running = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, url, name, stderr=asyncio.subprocess.PIPE)
        for name in ("alice", "bob")
    ]
    for process in running:
        _, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
    async with Database(url) as database:
        assert [user.username for user in await Subscribers(database).list()] == ["alice", "bob"]


async def test_new_sqlite_file_that_another_process_has_locked_is_waited_for(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "wigwag.sqlite3", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    asyncio.get_running_loop().call_later(0.1, other.rollback)
    async with Database(f"sqlite:///{tmp_path}/wigwag.sqlite3") as database:
        assert await Subscribers(database).list() == []
    other.close()


@pytest.mark.peer("mariadb")
async def test_mariadb_goes_by_both_of_its_names(mariadb: SqlServer) -> None:
    url = await mariadb.new_database()
    for scheme in ("mysql", "mariadb"):
        async with Database(url.replace("mysql:", f"{scheme}:")) as database:
            await Subscribers(database).add(scheme, "example.com", "secret")
            assert len(await Subscribers(database).list()) == (1 if scheme == "mysql" else 2)


# Subscribers


async def test_user_is_stored_as_hashes_for_his_domain(subscribers: Subscribers) -> None:
    await subscribers.add("alice", "Example.COM", "secret")
    found = await subscribers.credentials("alice", "example.com")
    assert found == StoredCredentials(
        "alice",
        "example.com",
        None,
        ha1(Algorithm.MD5, "alice", "example.com", "secret"),
        ha1(Algorithm.SHA_256, "alice", "example.com", "secret"),
        ha1(Algorithm.SHA_512_256, "alice", "example.com", "secret"),
    )


async def test_password_is_kept_when_asked_for_and_removed_when_not(subscribers: Subscribers) -> None:
    await subscribers.add("alice", "example.com", "p" * 25, store_password=True)
    assert (await subscribers.show("alice", "example.com")).password == "p" * 25
    await subscribers.set_password("alice", "example.com", "other")
    found = await subscribers.show("alice", "example.com")
    assert found.password is None
    assert found.ha1 == ha1(Algorithm.MD5, "alice", "example.com", "other")


async def test_long_password_serves_as_hashes_only(subscribers: Subscribers) -> None:
    await subscribers.add("alice", "example.com", "p" * 100)
    with pytest.raises(ConflictError, match="25"):
        await subscribers.set_password("alice", "example.com", "p" * 26, store_password=True)
    found = await subscribers.show("alice", "example.com")
    assert found.ha1 == ha1(Algorithm.MD5, "alice", "example.com", "p" * 100)


async def test_domain_is_found_in_any_case(subscribers: Subscribers) -> None:
    await subscribers.add("alice", "example.com", "secret")
    assert await subscribers.credentials("alice", "EXAMPLE.com") is not None


NOBODY = [
    ("Alice", "example.com"),
    ("alice ", "example.com"),
    (" alice", "example.com"),
    ("álice", "example.com"),
    ("alice", "example.org"),
    ("alice", "例え.example"),
    ("名前", "example.com"),
    ("alice", ""),
    ("", "example.com"),
    ("%", "%"),
    ("' OR 1=1 -- ", "example.com"),
    ("alice\0", "example.com"),
    ("alice\ud800", "example.com"),
    ("a" * 65, "example.com"),
    ("alice", "x" * 1_000_000),
]


async def test_others_are_not_found(subscribers: Subscribers) -> None:
    await subscribers.add("alice", "example.com", "secret")
    for username, domain in NOBODY:
        assert await subscribers.credentials(username, domain) is None
        with pytest.raises(NotFoundError):
            await subscribers.show(username, domain)
        with pytest.raises(NotFoundError):
            await subscribers.remove(username, domain)


async def test_names_come_back_as_they_were(subscribers: Subscribers) -> None:
    names = ["jäsøn", "名前", "o'brien", 'say "hi"', "back\\slash", "a" * 64, "x;y", "😀"]
    for username in names:
        await subscribers.add(username, "example.com", "secret")
        assert (await subscribers.show(username, "example.com")).username == username
    assert {user.username for user in await subscribers.list()} == set(names)


async def test_user_exists_once(subscribers: Subscribers) -> None:
    await subscribers.add("alice", "example.com", "secret")
    with pytest.raises(ConflictError, match=r"alice@example\.com exists"):
        await subscribers.add("alice", "EXAMPLE.com", "other")
    await subscribers.add("alice", "example.org", "secret")
    assert [user.domain for user in await subscribers.list()] == ["example.com", "example.org"]


async def test_one_of_many_who_add_the_same_user_at_once_succeeds(subscribers: Subscribers) -> None:
    adding = [subscribers.add("alice", "example.com", f"secret{number}") for number in range(5)]
    outcomes = await asyncio.gather(*adding, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if outcome is not None] == [ConflictError] * 4


async def test_name_in_another_case_is_another_user_or_refused_by_the_collation(subscribers: Subscribers) -> None:
    await subscribers.add("alice", "example.com", "secret")
    try:
        await subscribers.add("Alice", "example.com", "other")
    except ConflictError:
        assert await subscribers.credentials("Alice", "example.com") is None
    else:
        assert (await subscribers.show("Alice", "example.com")).username == "Alice"
    assert (await subscribers.show("alice", "example.com")).username == "alice"


UNFIT = [
    ("", "example.com", "x"),
    ("alice", "", "x"),
    ("alice", "example.com", ""),
    ("a:b", "example.com", "x"),
    ("alice ", "example.com", "x"),
    ("al\nice", "example.com", "x"),
    ("a" * 65, "example.com", "x"),
    ("alice", "e" * 65, "x"),
]


async def test_what_does_not_fit_is_not_stored(subscribers: Subscribers) -> None:
    for username, domain, password in UNFIT:
        with pytest.raises(ConflictError):
            await subscribers.add(username, domain, password)
    assert await subscribers.list() == []


async def test_right_to_the_relay_is_given_and_taken(subscribers: Subscribers) -> None:
    await subscribers.add("alice", "example.com", "secret", may_relay=False)
    assert not (await subscribers.show("alice", "example.com")).may_relay
    assert [user.may_relay for user in await subscribers.list()] == [False]
    await subscribers.set_may_relay("alice", "example.com", True)
    assert (await subscribers.show("alice", "example.com")).may_relay
    await subscribers.set_may_relay("alice", "example.com", False)
    await subscribers.remove("alice", "example.com")
    await subscribers.add("alice", "example.com", "secret")
    assert (await subscribers.show("alice", "example.com")).may_relay


async def test_removed_user_is_gone(subscribers: Subscribers) -> None:
    await subscribers.add("alice", "example.com", "secret")
    await subscribers.remove("alice", "Example.com")
    assert await subscribers.credentials("alice", "example.com") is None
    with pytest.raises(NotFoundError, match=r"alice@example\.com"):
        await subscribers.set_password("alice", "example.com", "secret")


# Profiles and routes


async def test_profiles_have_opensips_defaults_and_come_by_priority(url: str, database: Database) -> None:
    await execute(
        url,
        "INSERT INTO tcp_mgm (proto, priority) VALUES ('tls', 5)",
        "INSERT INTO tcp_mgm (remote_addr, priority, con_lifetime) VALUES ('10.0.0.0/8', -1, 3600)",
    )
    assert await tcp_profiles(database) == [
        TcpProfileRow(id=2, remote_addr="10.0.0.0/8", priority=-1, con_lifetime=3600),
        TcpProfileRow(id=1, proto="tls", priority=5),
    ]


async def test_routes_come_by_priority_with_every_column(url: str, database: Database) -> None:
    await execute(
        url,
        "INSERT INTO wigwag_relay_route (priority, action) VALUES (5, 'refuse')",
        "INSERT INTO wigwag_relay_route (source_network, listener, scheme, destination, out_listener, next_hop, "
        "allow_private, comment) VALUES ('10.0.0.0/8', 'in', 'msrps', '*.example.com', 'out', "
        "'msrps://next.example.com:2855;tcp', true, 'to the other side')",
    )
    nothing: dict[str, Any] = dict.fromkeys(
        ("source_network", "listener", "scheme", "destination", "out_listener", "next_hop", "comment")
    )
    assert await relay_routes(database) == [
        RelayRouteRow(
            id=2,
            priority=0,
            source_network="10.0.0.0/8",
            listener="in",
            scheme="msrps",
            destination="*.example.com",
            action="forward",
            out_listener="out",
            next_hop="msrps://next.example.com:2855;tcp",
            allow_private=True,
            comment="to the other side",
        ),
        RelayRouteRow(id=1, priority=5, action="refuse", allow_private=False, **nothing),
    ]


# A database that OpenSIPS made

VERSIONS = [
    pytest.param(False, True, id="before-3.2"),
    pytest.param(True, True, id="3.3"),
    pytest.param(True, False, id="4.0"),
]


@pytest.mark.parametrize(("sha_columns", "parallel_read"), VERSIONS)
async def test_existing_opensips_database_is_used_and_left_alone(
    url: str, sha_columns: bool, parallel_read: bool
) -> None:
    await execute(url, *opensips_tables(dialect(url), sha_columns=sha_columns, parallel_read=parallel_read))
    rows = await execute(url, "SELECT * FROM subscriber"), await execute(url, "SELECT * FROM tcp_mgm")
    definition = await _definition(url)
    async with Database(url) as database:
        users = Subscribers(database)
        alice, bob = await users.list()
        assert (alice.username, bob.username) == ("alice", "bob")
        assert alice.ha1_for(Algorithm.MD5, DOMAIN) == ha1(Algorithm.MD5, "alice", DOMAIN, "secret")
        assert (alice.ha1_for(Algorithm.SHA_256, DOMAIN) is not None) is sha_columns
        assert bob.ha1_for(Algorithm.SHA_512_256, "any") == ha1(Algorithm.SHA_512_256, "bob", "any", "plain")
        assert await users.credentials("alice", DOMAIN) == alice
        assert await tcp_profiles(database) == [
            TcpProfileRow(
                id=2,
                proto="tls",
                remote_addr="10.0.0.0/8",
                local_addr="127.0.0.1",
                con_lifetime=30,
                attrs="max_msg_chunks=8",
            ),
            TcpProfileRow(id=1, proto="tcp", priority=10),
        ]
    assert await _definition(url) == definition
    assert rows == (await execute(url, "SELECT * FROM subscriber"), await execute(url, "SELECT * FROM tcp_mgm"))


@pytest.mark.parametrize(("sha_columns", "parallel_read"), VERSIONS)
async def test_users_of_an_opensips_database_can_be_changed(url: str, sha_columns: bool, parallel_read: bool) -> None:
    await execute(url, *opensips_tables(dialect(url), sha_columns=sha_columns, parallel_read=parallel_read))
    async with Database(url) as database:
        users = Subscribers(database)
        await users.add("carol", DOMAIN, "secret", may_relay=False)
        await users.set_password("alice", DOMAIN, "other")
        await users.remove("bob", DOMAIN)
        assert [(user.username, user.may_relay) for user in await users.list()] == [("alice", True), ("carol", False)]
        alice = await users.show("alice", DOMAIN)
        assert alice.ha1 == ha1(Algorithm.MD5, "alice", DOMAIN, "other")
        assert await users.credentials("名前", DOMAIN) is None


@pytest.mark.peer("mariadb")
async def test_name_that_an_opensips_table_cannot_hold_is_refused(mariadb: SqlServer) -> None:
    url = await mariadb.new_database()
    await execute(url, *opensips_tables("mysql", sha_columns=True, parallel_read=True))
    async with Database(url) as database:
        with pytest.raises(ConflictError, match="character set"):
            await Subscribers(database).add("名前", DOMAIN, "secret")


async def _definition(url: str) -> list[tuple[Any, ...]]:
    """What the database itself says about OpenSIPS's tables."""
    if dialect(url) == "sqlite":
        return await execute(url, "SELECT name, sql FROM sqlite_master WHERE tbl_name IN ('subscriber', 'tcp_mgm')")
    if dialect(url) == "mysql":
        return await execute(url, "SHOW CREATE TABLE subscriber") + await execute(url, "SHOW CREATE TABLE tcp_mgm")
    columns = (
        "SELECT table_name, column_name, data_type, column_default, is_nullable, character_maximum_length "
        "FROM information_schema.columns WHERE table_name IN ('subscriber', 'tcp_mgm') ORDER BY 1, ordinal_position"
    )
    indexes = "SELECT indexdef FROM pg_indexes WHERE tablename IN ('subscriber', 'tcp_mgm') ORDER BY 1"
    return await execute(url, columns) + await execute(url, indexes)


# Trouble


async def test_connections_that_the_server_ended_are_replaced_unnoticed(url: str, subscribers: Subscribers) -> None:
    await subscribers.add("alice", "example.com", "secret")
    await _end_connections(url)
    assert await subscribers.credentials("alice", "example.com") is not None


async def _end_connections(url: str) -> None:
    if dialect(url) == "postgresql":
        await execute(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    elif dialect(url) == "mysql":
        query = "SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND user = 'root'"
        for (number,) in await execute(url, query):
            await execute(url, f"KILL {number}")


async def test_two_processes_write_at_once(url: str) -> None:
    async with Database(url) as one, Database(url) as other:
        adding = [
            Subscribers(database).add(f"user{number}", f"{name}.example", "secret")
            for number in range(10)
            for name, database in (("one", one), ("other", other))
        ]
        await asyncio.gather(*adding)
        assert len(await Subscribers(one).list()) == 20


async def test_sip_routes_and_members_come_in_order_with_every_column(url: str, database: Database) -> None:
    await execute(
        url,
        "INSERT INTO wigwag_sip_route (priority, action, status) VALUES (5, 'refuse', 410)",
        "INSERT INTO wigwag_sip_route (name, listener, source_network, methods, scheme, user_pattern, domain, sender, "
        "action, next_hops, allow_private, strip, prefix, set_domain, answer, comment) VALUES ('out', 'udp', "
        "'10.0.0.0/8', 'INVITE, MESSAGE', 'sip', '00*', '*.example.com', 'authenticated', 'forward', "
        "'sip:a.example sip:b.example', true, 2, '+', 'gw.example', 'delivery', 'abroad')",
        "INSERT INTO wigwag_sip_pool_member (pool, uri) VALUES ('p', 'sip:a.example')",
    )
    forward, refuse = await sip_routes(database)
    assert (forward.priority, refuse.priority, refuse.status, refuse.reason) == (0, 5, 410, "Forbidden")
    settings = forward.settings()
    assert (settings["answer"], refuse.answer) == ("delivery", None)
    assert settings["methods"] == ("INVITE", "MESSAGE")
    assert settings["next_hops"] == ("sip:a.example", "sip:b.example")
    assert (settings["user"], settings["allow_private"], settings["trust"], settings["strip"]) == (
        "00*",
        True,
        False,
        2,
    )
    (member,) = await sip_pool_members(database)
    assert member.settings() == {"uri": "sip:a.example", "weight": 1, "priority": 0, "enabled": True}


# Block lists


async def test_block_is_stored_once_in_its_normal_form_and_taken_back(database: Database) -> None:
    blocks = Blocks(database)
    assert await blocks.add("bob", "Example.com", "sip:Alice@Example.COM")
    assert not await blocks.add("bob", "example.com", "Alice@example.com")
    assert await blocks.add("bob", "example.com", "spam.example")
    assert await blocks.of("bob", "EXAMPLE.com") == ["Alice@example.com", "*@spam.example"]
    assert await blocks.all() == [
        BlockRow(username="bob", domain="example.com", pattern="Alice@example.com"),
        BlockRow(username="bob", domain="example.com", pattern="*@spam.example"),
    ]
    await blocks.remove("bob", "example.com", "@spam.example")
    assert await blocks.of("bob", "example.com") == ["Alice@example.com"]


async def test_block_list_is_of_one_user_letter_for_letter(database: Database) -> None:
    blocks = Blocks(database)
    await blocks.add("bob", "example.com", "*")
    assert await blocks.add("Bob", "example.com", "*")
    assert await blocks.of("BOB", "example.com") == []
    with pytest.raises(NotFoundError, match="does not block"):
        await blocks.remove("BOB", "example.com", "*")


@pytest.mark.parametrize("pattern", ["", " ", "x" * 300, "al\nice@example.com"])
async def test_block_that_does_not_fit_is_refused(database: Database, pattern: str) -> None:
    with pytest.raises(ConflictError, match="pattern is empty"):
        await Blocks(database).add("bob", "example.com", pattern)


async def test_every_change_of_block_lists_shows_in_their_stamp(database: Database) -> None:
    blocks, seen = Blocks(database), []
    for change in (
        lambda: blocks.stamp(),
        lambda: blocks.add("bob", "example.com", "a@b.example"),
        lambda: blocks.add("bob", "example.com", "c@b.example"),
        lambda: blocks.remove("bob", "example.com", "c@b.example"),
        lambda: blocks.add("bob", "example.com", "c@b.example"),
        lambda: blocks.remove("bob", "example.com", "a@b.example"),
    ):
        await change()
        seen.append(await blocks.stamp())
    assert all(before != after for before, after in pairwise(seen))
