"""Brings the tables up to date, by alembic run from code: nothing outside this package is read.

The version is kept in ``wigwag_alembic_version``. Tables of OpenSIPS that exist are never altered: migrations only
create what is missing.
"""

from io import StringIO
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

VERSION_TABLE: Final = "wigwag_alembic_version"
LOCK_SECONDS: Final = 50
"""How long one process waits while another migrates."""

_LOCK_NAME: Final = "wigwag_migrations"
_LOCK_NUMBER: Final = 0x5769_6777_6167
_NEWEST: Final = "head"


def upgrade(connection: Connection) -> None:
    """Run the migrations that are missing; a second process that does the same waits.

    Args:
        connection: Open and outside a transaction.
    """
    config = _config()
    config.attributes["connection"] = connection
    _lock(connection)
    try:
        command.upgrade(config, _NEWEST)
        connection.commit()
    finally:
        connection.rollback()
        _unlock(connection)


def sql_script(dialect: str) -> str:
    """Return the SQL that creates everything in an empty database, for those who let no program do that.

    Args:
        dialect: ``sqlite``, ``postgresql``, ``mysql`` or ``mariadb``.
    """
    script = StringIO()
    config = _config(script)
    config.attributes["dialect"] = dialect
    command.upgrade(config, _NEWEST, sql=True)
    return script.getvalue()


def _config(output: StringIO | None = None) -> Config:
    config = Config(output_buffer=output) if output is not None else Config()
    config.set_main_option("script_location", "wigwag.database:migrations")
    config.set_main_option("path_separator", "os")
    return config


def _lock(connection: Connection) -> None:
    dialect = connection.dialect.name
    if dialect == "postgresql":
        connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": _LOCK_NUMBER})
    elif dialect in ("mysql", "mariadb"):
        connection.execute(text("SELECT GET_LOCK(:name, :seconds)"), {"name": _LOCK_NAME, "seconds": LOCK_SECONDS})
    else:
        # SQLite's lock is that of the transaction in which everything happens; alembic would end one of its own after
        # each migration.
        connection.execution_options(wigwag_write=True)
        connection.begin()


def _unlock(connection: Connection) -> None:
    dialect = connection.dialect.name
    if dialect == "postgresql":
        connection.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": _LOCK_NUMBER})
    elif dialect in ("mysql", "mariadb"):
        connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": _LOCK_NAME})
