"""The tables of the log in an SQLite file, and every statement on them.

A record's row id is its topic's number, shifted, plus its offset: appending goes to the end of the topic's own range,
and an offset is looked up by primary key. Times never go back within a topic, so that a time is found by bisection.
"""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from . import Message, Record

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
"""Statements that run together on one connection."""

PAGE_OCTETS: Final = 4_194_304
"""A page of records ends when it holds as much as this."""
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS topic (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, next INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS record (
    id INTEGER PRIMARY KEY, time REAL NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, headers BLOB
);
CREATE TABLE IF NOT EXISTS committed (
    consumers TEXT NOT NULL, topic INTEGER NOT NULL, next INTEGER NOT NULL, PRIMARY KEY (consumers, topic)
) WITHOUT ROWID;
"""
_OFFSET_BITS: Final = 40
_encoder, _decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(dict[str, bytes])


@dataclass(slots=True)
class LogTopic:
    """A topic in the file."""

    name: str
    id: int
    next: int = 0
    """Offset of the next record, those included that the writer has not committed yet."""
    time: float = 0.0
    """Of the newest record."""

    @property
    def first_row(self) -> int:
        """Row id of offset 0."""
        return self.id << _OFFSET_BITS

    @property
    def last_row(self) -> int:
        """Row id of the highest offset there can be."""
        return self.first_row + (1 << _OFFSET_BITS) - 1

    def load(self, connection: sqlite3.Connection) -> None:
        """Read its numbers from the file."""
        (trimmed,) = connection.execute("SELECT next FROM topic WHERE id = ?", (self.id,)).fetchone()
        query = "SELECT id, time FROM record WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1"
        newest = connection.execute(query, (self.first_row, self.last_row)).fetchone()
        self.next = max(trimmed, newest[0] - self.first_row + 1 if newest else 0)
        self.time = newest[1] if newest else self.time


def find_or_make(connection: sqlite3.Connection, name: str) -> LogTopic:
    """Return the topic with its numbers, made when missing."""
    connection.execute("INSERT OR IGNORE INTO topic (name, next) VALUES (?, 0)", (name,))
    (number,) = connection.execute("SELECT id FROM topic WHERE name = ?", (name,)).fetchone()
    topic = LogTopic(name, number)
    topic.load(connection)
    return topic


def append(connection: sqlite3.Connection, topic: LogTopic, messages: Sequence[Message], now: float) -> int:
    """Add records; returns the offset of the first."""
    first, topic.time = topic.next, max(topic.time, now)
    rows = [
        (topic.first_row + offset, topic.time, message.key, message.value, _encode(message))
        for offset, message in enumerate(messages, first)
    ]
    connection.executemany("INSERT INTO record (id, time, key, value, headers) VALUES (?, ?, ?, ?, ?)", rows)
    topic.next += len(rows)
    return first


def commit(connection: sqlite3.Connection, topic: LogTopic, group: str, offset: int) -> None:
    """Note how far a group has come."""
    statement = "INSERT INTO committed VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET next = excluded.next"
    connection.execute(statement, (group, topic.id, offset))


def trim(connection: sqlite3.Connection, topic: LogTopic, before: float, most: int) -> int:
    """Delete the oldest records that were published before a time; ``most`` of them, and returns how many."""
    # The topic may be empty afterwards: what comes next must not take an offset that was used.
    connection.execute("UPDATE topic SET next = ? WHERE id = ?", (topic.next, topic.id))
    statement = """
        DELETE FROM record WHERE time < ? AND id IN (SELECT id FROM record WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?)
    """
    return connection.execute(statement, (before, topic.first_row, topic.last_row, most)).rowcount


def page(topic: LogTopic, offset: int, limit: int) -> Work[list[Record]]:
    """Return the work that reads records from an offset on: at most ``limit``, and about ``PAGE_OCTETS``."""

    def work(connection: sqlite3.Connection) -> list[Record]:
        records: list[Record] = []
        octets = 0
        query = "SELECT id, time, key, value, headers FROM record WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?"
        # Closed at the end: a cursor left open would keep the write-ahead log from ever being emptied.
        with closing(connection.execute(query, (topic.first_row + offset, topic.last_row, limit))) as cursor:
            for row in cursor:
                records.append(_record(topic, row))
                octets += len(row[2]) + len(row[3])
                if octets >= PAGE_OCTETS:
                    break
        return records

    return work


def committed(topic: LogTopic, group: str) -> Work[int]:
    """Return the work that finds how far a group has come."""

    def work(connection: sqlite3.Connection) -> int:
        query = "SELECT next FROM committed WHERE consumers = ? AND topic = ?"
        row = connection.execute(query, (group, topic.id)).fetchone()
        return int(row[0]) if row else 0

    return work


def oldest(topic: LogTopic) -> Work[int | None]:
    """Return the work that finds the offset of the oldest record; None: there is none."""

    def work(connection: sqlite3.Connection) -> int | None:
        query = "SELECT min(id) FROM record WHERE id BETWEEN ? AND ?"
        (number,) = connection.execute(query, (topic.first_row, topic.last_row)).fetchone()
        return None if number is None else int(number) - topic.first_row

    return work


def offset_at(topic: LogTopic, time: float) -> Work[int]:
    """Return the work that finds the first offset published at ``time`` or later."""

    def work(connection: sqlite3.Connection) -> int:
        first, high = oldest(topic)(connection), topic.next
        low = high if first is None else first
        while low < high:
            middle = (low + high) // 2
            if _is_before(connection, topic.first_row + middle, time):
                low = middle + 1
            else:
                high = middle
        return low

    return work


def _is_before(connection: sqlite3.Connection, number: int, time: float) -> bool:
    row = connection.execute("SELECT time FROM record WHERE id = ?", (number,)).fetchone()
    return row is not None and row[0] < time  # a row that is missing is not committed yet: the newest there is


def _encode(message: Message) -> bytes | None:
    return _encoder.encode(dict(message.headers)) if message.headers else None


def _record(topic: LogTopic, row: tuple[int, float, str, bytes, bytes | None]) -> Record:
    number, time, key, value, headers = row
    return Record(
        topic=topic.name,
        partition=0,
        offset=number - topic.first_row,
        key=key,
        value=value,
        headers=_decoder.decode(headers) if headers else {},
        time=time,
    )
