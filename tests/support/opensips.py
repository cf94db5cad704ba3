"""The tables as OpenSIPS makes them, in the versions that are still in use, each with rows in them."""

from typing import Final

from wigwag.protocols.digest import Algorithm, ha1

_STRING: Final = {"sqlite": "CHAR", "postgresql": "VARCHAR", "mysql": "CHAR"}
_ID: Final = {
    "sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL",
    "postgresql": "SERIAL PRIMARY KEY NOT NULL",
    "mysql": "INT(10) UNSIGNED AUTO_INCREMENT PRIMARY KEY NOT NULL",
}
_NUMBER: Final = {"sqlite": "INTEGER", "postgresql": "INTEGER", "mysql": "INT UNSIGNED"}
_TAIL: Final = {"sqlite": "", "postgresql": "", "mysql": " ENGINE=InnoDB CHARSET=latin1"}

PASSWORD: Final = "secret"
DOMAIN: Final = "opensips.example"


def opensips_tables(dialect: str, *, sha_columns: bool, parallel_read: bool) -> list[str]:
    """Return the statements that make an OpenSIPS database's tables and put rows into them.

    Args:
        dialect: ``sqlite``, ``postgresql`` or ``mysql``.
        sha_columns: Whether ``subscriber`` has the SHA columns (since OpenSIPS 3.2).
        parallel_read: Whether ``tcp_mgm`` has that column (until OpenSIPS 3.6).
    """
    return [
        _subscriber(dialect, sha_columns),
        _tcp_mgm(dialect, parallel_read),
        _subscriber_row("alice", sha_columns),
        "INSERT INTO subscriber (username, domain, password) VALUES ('bob', 'opensips.example', 'plain')",
        "INSERT INTO tcp_mgm (proto, priority) VALUES ('tcp', 10)",
        "INSERT INTO tcp_mgm (proto, remote_addr, local_addr, con_lifetime, attrs) "
        "VALUES ('tls', '10.0.0.0/8', '127.0.0.1', 30, 'max_msg_chunks=8')",
    ]


def _subscriber(dialect: str, sha_columns: bool) -> str:
    string = _STRING[dialect]
    columns = [f"id {_ID[dialect]}"]
    columns += [f"{name} {string}({size}) DEFAULT '' NOT NULL" for name, size in _subscriber_columns(sha_columns)]
    # Columns of an older version, one of them without our knowledge of its meaning.
    columns += [f"email_address {string}(64) DEFAULT '' NOT NULL", f"rpid {string}(64) DEFAULT NULL"]
    columns.append("CONSTRAINT account_idx UNIQUE (username, domain)")
    return f"CREATE TABLE subscriber ({', '.join(columns)}){_TAIL[dialect]}"


def _subscriber_columns(sha_columns: bool) -> list[tuple[str, int]]:
    columns = [("username", 64), ("domain", 64), ("password", 25), ("ha1", 64)]
    return columns + ([("ha1_sha256", 64), ("ha1_sha512t256", 64)] if sha_columns else [])


def _subscriber_row(username: str, sha_columns: bool) -> str:
    names = {"ha1": Algorithm.MD5}
    if sha_columns:
        names |= {"ha1_sha256": Algorithm.SHA_256, "ha1_sha512t256": Algorithm.SHA_512_256}
    hashes = [f"'{ha1(algorithm, username, DOMAIN, PASSWORD)}'" for algorithm in names.values()]
    return (
        f"INSERT INTO subscriber (username, domain, {', '.join(names)}) "
        f"VALUES ('{username}', '{DOMAIN}', {', '.join(hashes)})"
    )


def _tcp_mgm(dialect: str, parallel_read: bool) -> str:
    string, number = _STRING[dialect], _NUMBER[dialect]
    columns = [
        f"id {_ID[dialect]}",
        f"proto {string}(8) DEFAULT 'any' NOT NULL",
        f"remote_addr {string}(43) DEFAULT NULL",
        f"remote_port {number} DEFAULT 0 NOT NULL",
        f"local_addr {string}(43) DEFAULT NULL",
        f"local_port {number} DEFAULT 0 NOT NULL",
        "priority INT DEFAULT 0 NOT NULL",
        f"attrs {string}(255) DEFAULT NULL",
    ]
    defaults = {"connect_timeout": 100, "con_lifetime": 120, "msg_read_timeout": 4, "send_threshold": 0}
    defaults |= {"no_new_conn": 0, "alias_mode": 0} | ({"parallel_read": 0} if parallel_read else {})
    defaults |= {"keepalive": 1, "keepcount": 9, "keepidle": 7200, "keepinterval": 75}
    columns += [f"{name} {number} DEFAULT {value} NOT NULL" for name, value in defaults.items()]
    return f"CREATE TABLE tcp_mgm ({', '.join(columns)}){_TAIL[dialect]}"
