"""A real PostgreSQL on a free loopback port, in a directory of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.peers import require_peer
from tests.support.processes import Process, free_port
from tests.support.sql import SqlServer, as_user, directory_of, run, wait_until_ready

_DIRECTORY = "/usr/lib/postgresql/*/bin"


@contextmanager
def running_postgresql() -> Iterator[SqlServer]:
    """Run a server until the block ends; skip the test when there is none on this machine."""
    # Debian puts the programs where PATH does not lead; the directory's own postgres goes with its initdb.
    initdb = require_peer("initdb", _DIRECTORY)
    postgres = require_peer("postgres", str(initdb.resolve().parent))
    with directory_of("postgres") as directory:
        data, port = directory / "data", free_port()
        make: list[str | Path] = [
            initdb,
            "--pgdata",
            data,
            "--username=wigwag",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]
        run(as_user("postgres", make), directory)
        options = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": directory,
            "fsync": "off",
            "shared_buffers": "16MB",
        }
        command: list[str | Path] = [postgres, "-D", data]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with Process(as_user("postgres", command), log=directory / "log", directory=directory) as process:
            process.wait_for_port("127.0.0.1", port)
            wait_until_ready(process, "ready to accept connections")
            yield SqlServer(url=f"postgresql://wigwag@127.0.0.1:{port}/", maintenance="postgres")
