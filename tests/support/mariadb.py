"""A real MariaDB on a free loopback port, in a directory of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.peers import require_peer
from tests.support.processes import Process, free_port
from tests.support.sql import SqlServer, as_user, directory_of, run, wait_until_ready


@contextmanager
def running_mariadb() -> Iterator[SqlServer]:
    """Run a server until the block ends; skip the test when there is none on this machine."""
    install = require_peer("mariadb-install-db", "/usr/bin", "/usr/local/bin")
    mariadbd = require_peer("mariadbd", "/usr/sbin", "/usr/libexec")
    with directory_of("mysql") as directory:
        data, port = directory / "data", free_port()
        make: list[str | Path] = [
            install,
            "--no-defaults",
            f"--datadir={data}",
            "--skip-test-db",
            "--auth-root-authentication-method=normal",
        ]
        run(as_user("mysql", make), directory)
        command: list[str | Path] = [
            mariadbd,
            "--no-defaults",
            f"--datadir={data}",
            f"--port={port}",
            "--bind-address=127.0.0.1",
            f"--socket={directory / 'socket'}",
            f"--pid-file={directory / 'pid'}",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-buffer-pool-size=32M",
            "--skip-log-bin",
        ]
        with Process(as_user("mysql", command), log=directory / "log", directory=directory) as process:
            process.wait_for_port("127.0.0.1", port)
            wait_until_ready(process, "ready for connections")
            yield SqlServer(url=f"mysql://root@127.0.0.1:{port}/", maintenance="mysql")
