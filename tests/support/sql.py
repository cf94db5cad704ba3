"""Raw SQL against any of the databases, and servers to run it on."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import create_async_engine

from tests.support.processes import Process, wait_until
from wigwag.database.engine import async_url


async def execute(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements one by one, each committed at once; return the rows of the last."""
    engine = create_async_engine(async_url(url), isolation_level="AUTOCOMMIT")
    rows: list[tuple[Any, ...]] = []
    try:
        async with engine.connect() as connection:
            for statement in statements:
                result = await connection.exec_driver_sql(statement)
                rows = [tuple(row) for row in result] if result.returns_rows else []
    finally:
        await engine.dispose()
    return rows


@dataclass(slots=True)
class SqlServer:
    """A running server."""

    url: str
    """Without a database's name, ending in a slash."""
    maintenance: str
    """A database that exists."""
    _numbers: Iterator[int] = field(default_factory=count)

    async def new_database(self) -> str:
        """Create an empty database and return its URL."""
        name = f"wigwag_{next(self._numbers)}"
        await execute(self.url + self.maintenance, f"CREATE DATABASE {name}")
        return self.url + name


@contextmanager
def directory_of(user: str) -> Iterator[Path]:
    """Make a directory below the system's temporary one that belongs to ``user`` when we are root."""
    directory = Path(tempfile.mkdtemp(prefix=f"wigwag-{user}-"))
    try:
        if os.geteuid() == 0:
            account = pwd.getpwnam(user)
            os.chown(directory, account.pw_uid, account.pw_gid)
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def as_user(user: str, command: Sequence[str | Path]) -> list[str]:
    """Return the command that runs ``command`` as ``user`` when we are root: servers refuse to be root."""
    prefix = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if os.geteuid() == 0 else []
    return [*prefix, *map(str, command)]


def run(command: Sequence[str], directory: Path) -> None:
    """Run a program to its end.

    Raises:
        AssertionError: It failed; the text holds what it wrote.
    """
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def wait_until_ready(process: Process, words: str) -> None:
    """Wait until the server's log has these words: it listens earlier than it serves."""
    wait_until(lambda: words in process.log.read_text(errors="replace"), seconds=30, what=f'"{words}" in the log')
