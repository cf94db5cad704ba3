"""Scripts run on the servers there are: what every part of the store on Redis stands on."""

from collections.abc import Callable
from typing import Any

from wigwag.errors import StoreError

from .records import Keys, text_of
from .server import Call, Script
from .servers import Servers


class Runner:
    """Runs scripts while it is open.

    Args:
        keys: Names of keys.
        clock: Wall clock, seconds since the epoch; None: that of the server which has the key.
        timeout: Seconds within which an operation is done or fails.
    """

    def __init__(self, keys: Keys, clock: Callable[[], float] | None, *, timeout: float) -> None:
        self._keys = keys
        self._clock = clock
        self._timeout = timeout
        self._opened: Servers | None = None

    @property
    def _servers(self) -> Servers:
        if self._opened is None:
            raise StoreError("the store is not open")
        return self._opened

    async def _run(self, script: Script, keys: tuple[str, ...], *arguments: str | bytes) -> Any:
        return (await self._servers.run([self._call(script, keys, *arguments)]))[0]

    def _call(self, script: Script, keys: tuple[str, ...], *arguments: str | bytes) -> Call:
        now = text_of(self._clock()) if self._clock is not None else ""
        return Call(script, keys, (now, *arguments))
