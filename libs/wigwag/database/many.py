"""Statements that are executed for many rows, without what SQLAlchemy does for each of them."""

from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Delete, Insert, Update


class Many:
    """An INSERT, UPDATE or DELETE with parameters, compiled once for each dialect.

    Values go to the driver as they are: text, numbers, ``bool``, ``bytes`` and None only.

    Args:
        statement: Its parameters are the columns of an INSERT or ``bindparam``.
        names: The parameters.
    """

    def __init__(self, statement: Insert | Update | Delete, names: Iterable[str]) -> None:
        self._statement = statement
        self._names = list(names)
        self._compiled: dict[str, tuple[str, itemgetter[Any]]] = {}

    def execute(self, connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
        """Execute it for each row, which has a value for each parameter."""
        text, values = self._compiled.get(connection.dialect.name) or self._compile(connection)
        connection.exec_driver_sql(text, [values(row) for row in rows])

    def _compile(self, connection: Connection) -> tuple[str, "itemgetter[Any]"]:
        compiled = self._statement.compile(connection, column_keys=self._names)
        order = compiled.positiontup
        assert order is not None
        assert len(order) > 1
        found = self._compiled[connection.dialect.name] = str(compiled), itemgetter(*order)
        return found
