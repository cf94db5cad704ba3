"""The TCP profiles in force (table ``tcp_mgm``)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

import structlog

from wigwag.database import Database, tcp_profiles
from wigwag.transport.channel import Channel
from wigwag.transport.profiles import ProfileChange as ChannelChange
from wigwag.transport.profiles import ProfileTable, TcpProfile, apply_changes, plan_changes

from .status import RelayStatus
from .web import ProfileChange, ProfileReload

logger = structlog.get_logger("wigwag.relay")


class Profiles:
    """Reads the profiles, and applies them to live connections.

    Args:
        database: Where they are.
        status: Told how it went.

    Attributes:
        table: Those in force.
    """

    def __init__(self, database: Database, status: RelayStatus) -> None:
        self.table = ProfileTable()
        self._database = database
        self._status = status

    async def load(self) -> None:
        """Read them for the first time; DatabaseError: they can't be read."""
        self.table = await self._read()
        for reason in self.table.invalid:
            logger.warning("TCP profile is not used", reason=reason)

    async def reload(self, channels: Callable[[], Sequence[Channel]], *, dry_run: bool) -> ProfileReload:
        """Read them again and apply them.

        Args:
            channels: Returns live connections.
            dry_run: Only tell what would change.

        Raises:
            DatabaseError: They can't be read; nothing changes.
        """
        if dry_run:
            table = ProfileTable([asdict(row) for row in await tcp_profiles(self._database)])
            changes = plan_changes(table, channels())
        else:
            table = await self._read()
            changes = apply_changes(table, channels())
            self.table = table
        return ProfileReload(
            profiles=len(table.profiles),
            invalid=tuple(table.invalid),
            changes=tuple(map(_told, changes)),
            applied=not dry_run,
        )

    def rows(self) -> Sequence[Mapping[str, object]]:
        """Those in force, by column, in the order they are tried."""
        return [_columns(profile) for profile in self.table.profiles]

    async def _read(self) -> ProfileTable:
        with self._status.loading_profiles() as attempt:
            table = ProfileTable([asdict(row) for row in await tcp_profiles(self._database)])
            attempt.result = f"{len(table.profiles)} TCP profiles loaded ({len(table.invalid)} discarded)"
            for reason in table.invalid:
                attempt.discarded(reason)
            return table


def _columns(profile: TcpProfile) -> dict[str, object]:
    """Return a profile as the table holds it."""
    row = asdict(profile)
    remote, local = row.pop("remote"), row.pop("local")
    return row | {"remote_addr": str(remote) if remote else None, "local_addr": str(local) if local else None}


def _told(change: ChannelChange) -> ProfileChange:
    host, port = change.remote
    return ProfileChange(
        connection_id=change.channel_id,
        remote=f"{host}:{port}",
        changes=tuple(f"{column} {old} -> {new}" for column, old, new in change.changes),
    )
