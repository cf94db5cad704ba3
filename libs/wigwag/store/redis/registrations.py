"""SIP bindings and nonces on Redis."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from wigwag.store import Binding, Flow, OutdatedError, Registration, TooManyBindingsError
from wigwag.store.registration_rules import EVERY, is_count

from .records import aor_of, text, text_of
from .registration_records import binding_values, flow_octets, registration_of
from .runner import Runner
from .server import Call, Script

BATCH: Final = 256
"""Bindings written in one go."""

_REGISTER: Final = Script("register", "registrations")
_FIND_REGISTRATION: Final = Script("find_registration", "registrations")
_DROP_FLOW: Final = Script("drop_flow", "registrations")
_REMOVE_BINDINGS: Final = Script("remove_bindings", "registrations")
_PUT_REGISTRATION: Final = Script("put_registration", "registrations")
_USE_NONCE: Final = Script("use_nonce")


class RedisRegistrations(Runner):
    """The port ``Registrations`` on Redis: an address-of-record is one key."""

    async def register(
        self,
        aor: str,
        *,
        call_id: str,
        cseq: int,
        bindings: Sequence[Binding] = (),
        removed: Sequence[str] = (),
        remove_all: bool = False,
        most: int,
    ) -> Registration:
        """See ``Registrations.register``."""
        offered = [value for binding in bindings for value in binding_values(binding)]
        answer = await self._run_aor(
            _REGISTER,
            aor,
            call_id,
            str(cseq),
            str(most),
            "1" if remove_all else "",
            str(len(removed)),
            *removed,
            *offered,
        )
        match answer:
            case [b"outdated", key, known]:
                raise OutdatedError(f"{text(key)} of {aor} has CSeq {int(known)} already, {cseq} came")
            case [b"many", count]:
                raise TooManyBindingsError(f"{aor} has {count} of {most} bindings")
        return registration_of(aor, answer)

    async def find_registrations(self, aors: Sequence[str]) -> Mapping[str, Registration]:
        """See ``Registrations.find_registrations``."""
        answers = await self._servers.run([self._aor_call(_FIND_REGISTRATION, aor) for aor in aors])
        found = zip(aors, answers, strict=True)
        return {aor: registration_of(aor, answer) for aor, answer in found if answer is not None}

    async def drop_flow(self, aor: str, key: str, flow: Flow, *, remove: bool) -> bool:
        """See ``Registrations.drop_flow``."""
        answer = await self._run_aor(_DROP_FLOW, aor, key, flow_octets(flow), "1" if remove else "")
        return answer is not None

    async def remove_bindings(self, aor: str, keys: Sequence[str] | None = None) -> Registration | None:
        """See ``Registrations.remove_bindings``."""
        named = [EVERY] if keys is None else dict.fromkeys(keys)
        answer = await self._run_aor(_REMOVE_BINDINGS, aor, *named)
        return registration_of(aor, answer) if answer is not None else None

    async def put_registrations(self, bindings: Iterable[tuple[str, Binding]]) -> Sequence[tuple[str, Binding]]:
        """See ``Registrations.put_registrations``; each batch has the time of an operation."""
        outdated: list[tuple[str, Binding]] = []
        remaining = iter(bindings)
        while batch := list(islice(remaining, BATCH)):
            answers = await self._servers.run([self._put_binding_call(aor, binding) for aor, binding in batch])
            outdated += [offered for offered, answer in zip(batch, answers, strict=True) if answer is not None]
        return outdated

    def _put_binding_call(self, aor: str, binding: Binding) -> Call:
        order = binding.call_id, str(binding.cseq), text_of(binding.updated_at)
        return self._aor_call(_PUT_REGISTRATION, aor, *order, *binding_values(binding))

    async def registrations(self, *, prefix: str = "") -> AsyncIterator[Registration]:
        """See ``Registrations.registrations``; each page has the time of an operation."""
        pattern, seen = self._keys.registrations(prefix), set[str]()
        for server in await self._servers.present():
            cursor, is_done = 0, False
            while not is_done:
                deadline = asyncio.get_running_loop().time() + self._timeout
                cursor, keys = await server.scan(pattern, cursor, deadline)
                page = {aor_of(key) for key in keys} - seen
                seen |= page
                for registration in (await self.find_registrations(list(page))).values():
                    yield registration
                is_done = cursor == 0

    async def use_nonce(self, nonce: str, nc: int, *, expires_at: float, user: str = "") -> bool:
        """See ``Registrations.use_nonce``."""
        if not is_count(nc):
            return False
        key = self._keys.nonce(nonce)
        return await self._run(_USE_NONCE, (key,), str(nc), text_of(expires_at), user) is not None

    async def _run_aor(self, script: Script, aor: str, *arguments: str | bytes) -> Any:
        return (await self._servers.run([self._aor_call(script, aor, *arguments)]))[0]

    def _aor_call(self, script: Script, aor: str, *arguments: str | bytes) -> Call:
        return self._call(script, (self._keys.registration(aor),), self._keys.channel, aor, *arguments)
