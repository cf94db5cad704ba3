"""What the store decides about bindings, as pure functions; ``redis/scripts`` says it again in Lua, like ``rules``."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from .registrations import Binding, Flow, OutdatedError, TooManyBindingsError
from .rules import next_epoch

REMEMBERED: Final = 300.0
"""Seconds at least for which a removal is remembered."""
MOST_REMOVALS: Final = 16
"""Removals that are remembered of one address-of-record, the last ones."""
EVERY: Final = "*"
"""Stands for all keys in a removal."""


@dataclass(frozen=True, slots=True)
class Removal:
    """That a binding, or every one, was removed."""

    call_id: str
    """Of the request; empty for one without."""
    cseq: int
    updated_at: float
    expires_at: float
    """When it may be forgotten."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of an address-of-record, by key."""

    bindings: Mapping[str, Binding] = field(default_factory=dict)
    removals: Mapping[str, Removal] = field(default_factory=dict)
    version: int = 0

    @property
    def expires_at(self) -> float:
        """When nothing of it is needed any more."""
        bindings = (binding.expires_at for binding in self.bindings.values())
        return max(*bindings, *(removal.expires_at for removal in self.removals.values()), 0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What ``Registrations.register`` was asked for."""

    aor: str
    call_id: str
    cseq: int
    bindings: Sequence[Binding]
    removed: Sequence[str]
    remove_all: bool
    most: int


def in_force(kept: Kept, now: float) -> Kept:
    """Return it without what has expired."""
    bindings = {key: binding for key, binding in kept.bindings.items() if binding.expires_at > now}
    removals = {key: removal for key, removal in kept.removals.items() if removal.expires_at > now}
    return Kept(bindings, removals, kept.version)


def registered(kept: Kept, request: Request, now: float) -> Kept:
    """Return what is there after a REGISTER; the same object when nothing changes.

    Raises:
        OutdatedError: See ``Registrations.register``.
        TooManyBindingsError: Likewise.
    """
    wanted = {binding.key: binding for binding in request.bindings if binding.expires_at > now}
    gone = [*request.removed, *(binding.key for binding in request.bindings)]
    if request.remove_all:
        gone += kept.bindings
    gone = [key for key in dict.fromkeys(gone) if key not in wanted]
    _check_order(kept, request, wanted, gone)
    version = next_epoch(kept.version, now)
    bindings = {key: binding for key, binding in kept.bindings.items() if key not in gone}
    for key, binding in wanted.items():
        bindings[key] = _written(kept.bindings.get(key), binding, request, version)
    if len(bindings) > max(request.most, len(kept.bindings)):
        raise TooManyBindingsError(f"{request.aor} has {len(kept.bindings)} of {request.most} bindings")
    if not gone and not request.remove_all and bindings == kept.bindings:
        return kept
    removal = Removal(request.call_id, request.cseq, version / 1000, now + REMEMBERED)
    return Kept(bindings, _remembered(kept, removal, [EVERY] if request.remove_all else gone), version)


def _check_order(kept: Kept, request: Request, wanted: Mapping[str, Binding], gone: Iterable[str]) -> None:
    for key, binding in kept.bindings.items():
        concerned = key in wanted or key in gone
        if not concerned or binding.call_id != request.call_id or binding.cseq < request.cseq:
            continue
        if binding.cseq > request.cseq or key not in wanted or not _is_same(binding, wanted[key]):
            raise OutdatedError(f"{key} of {request.aor} has CSeq {binding.cseq} already, {request.cseq} came")


def _written(current: Binding | None, wanted: Binding, request: Request, version: int) -> Binding:
    """Return the binding as it is kept; what the same request wrote over the same flow stays."""
    written = replace(wanted, call_id=request.call_id, cseq=request.cseq, updated_at=version / 1000)
    if current is None or (current.call_id, current.cseq) != (request.call_id, request.cseq):
        return written
    return current if current.flow == wanted.flow else written


def _is_same(one: Binding, other: Binding) -> bool:
    """Whether they differ at most in what another request of the same contact changes, and in the flow."""
    return one == replace(
        other,
        call_id=one.call_id,
        cseq=one.cseq,
        expires_at=one.expires_at,
        updated_at=one.updated_at,
        flow=one.flow,
    )


def _remembered(kept: Kept, removal: Removal, names: Iterable[str]) -> Mapping[str, Removal]:
    """Return what is remembered after a removal of the named keys, for as long as they might come back."""
    removals = {key: known for key, known in kept.removals.items() if key not in names}
    for name in names:
        concerned = (binding.expires_at for key, binding in kept.bindings.items() if name in (key, EVERY))
        removals[name] = replace(removal, expires_at=max(removal.expires_at, *concerned, 0.0))
    return dict(list(removals.items())[-MOST_REMOVALS:])


def removed(kept: Kept, keys: Iterable[str] | None, now: float) -> Kept:
    """Return what is there after bindings were removed without a request; None: all of them."""
    names = [EVERY] if keys is None else list(dict.fromkeys(keys))
    version = next_epoch(kept.version, now)
    removal = Removal("", 0, version / 1000, now + REMEMBERED)
    bindings = {key: binding for key, binding in kept.bindings.items() if not {key, EVERY} & {*names}}
    return Kept(bindings, _remembered(kept, removal, names), version)


def without_flow(kept: Kept, key: str, flow: Flow, now: float, *, remove: bool) -> Kept | None:
    """Return what is there after the flow was lost; None when it is not the binding's."""
    binding = kept.bindings.get(key)
    if binding is None or binding.flow != flow:
        return None
    if remove:
        return removed(kept, [key], now)
    version = next_epoch(kept.version, now)
    bindings = {**kept.bindings, key: replace(binding, flow=None, updated_at=version / 1000)}
    return Kept(bindings, kept.removals, version)


def put(kept: Kept, binding: Binding, now: float) -> Kept | None:
    """Return what is there after a binding was written again; None when something newer is known."""
    current = kept.bindings.get(binding.key)
    if _is_there(current, binding) or binding.expires_at <= now:
        return kept
    # What is there came after any removal.
    known = [current] if current is not None else [kept.removals.get(binding.key), kept.removals.get(EVERY)]
    if any(entry is not None and _is_newer(entry, binding) for entry in known):
        return None
    version = next_epoch(max(kept.version, int(binding.updated_at * 1000 + 0.5)), now)
    return Kept({**kept.bindings, binding.key: binding}, kept.removals, version)


def _is_there(current: Binding | None, binding: Binding) -> bool:
    return current is not None and current == binding and current.writer == binding.writer


def _is_newer(known: Binding | Removal, binding: Binding) -> bool:
    if known.call_id == binding.call_id and known.cseq != binding.cseq:
        return known.cseq > binding.cseq
    if known.updated_at != binding.updated_at:
        return known.updated_at > binding.updated_at
    return isinstance(known, Binding) and known.expires_at > binding.expires_at


def leads_elsewhere(before: Kept, after: Kept) -> bool:
    """Whether requests go another way than before."""
    return _routes(before) != _routes(after)


def _routes(kept: Kept) -> Mapping[str, Binding]:
    return {
        key: replace(binding, call_id="", cseq=0, expires_at=0.0, updated_at=0.0)
        for key, binding in kept.bindings.items()
    }


def is_count(nc: int) -> bool:
    """Whether it can be a nonce count, eight hexadecimal digits (RFC 7616 section 3.4)."""
    return 1 <= nc <= 0xFFFFFFFF
