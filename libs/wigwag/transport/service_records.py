"""SRV records (RFC 2782): who offers a service, in the order in which to try."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

import dns.name
import dns.rdatatype
from dns.rdtypes.IN.SRV import SRV

from wigwag.transport.addresses import Endpoint
from wigwag.transport.errors import ConnectError
from wigwag.transport.name_service import NameService

T = TypeVar("T")

MOST_TARGETS = 8
"""SRV targets looked at."""

Choose = Callable[[int], int]
"""Draws a number from 0 up to and including its argument; spreads load over records of one priority."""


async def targets(names: NameService, service: str, choose: Choose) -> list[tuple[str, int]] | None:
    """(host, port) of those who offer a service such as ``_sip._udp.example.com``; None when there is no SRV record.

    The hosts end in a dot, since they are complete.

    Raises:
        ConnectError: The name service did not answer.
    """
    records = await names.records(service, dns.rdatatype.SRV)
    services = [record for record in records if isinstance(record, SRV)]
    if not services:
        return None
    ordered = in_order(services, choose)
    # A target of "." says that the service is decidedly not offered (RFC 2782).
    return [
        (record.target.to_text(), record.port) for record in ordered[:MOST_TARGETS] if record.target != dns.name.root
    ]


async def endpoints_of(names: NameService, found: Sequence[tuple[str, int]]) -> list[list[Endpoint]]:
    """The endpoints of each (host, port); a host that can't be resolved has none while another can.

    Raises:
        ConnectError: The name service did not answer for any of them.
    """
    known = all(names.knows(host) for host, _ in found)
    results = await settled([names.addresses(host) for host, _ in found], at_once=known)
    errors = [result for result in results if isinstance(result, ConnectError)]
    if errors and len(errors) == len(results):
        raise errors[0]
    return [
        [] if isinstance(addresses, ConnectError) else [Endpoint(address, port) for address in addresses]
        for (_, port), addresses in zip(found, results, strict=True)
    ]


async def settled(lookups: Sequence[Coroutine[Any, Any, T]], *, at_once: bool) -> list[T | ConnectError]:
    """The results of all, an error in place of each that failed; side by side unless they return at once anyway.

    A task each would cost more than what it does when the answer is known, and that is for every message.
    """
    outcomes = [_outcome(lookup) for lookup in lookups]
    if at_once:
        return [await outcome for outcome in outcomes]
    return await asyncio.gather(*outcomes)


async def _outcome(lookup: Coroutine[Any, Any, T]) -> T | ConnectError:
    try:
        return await lookup
    except ConnectError as error:
        return error


def in_order(records: Iterable[SRV], choose: Choose) -> list[SRV]:
    """Sort SRV records by priority, and those of one priority by weighted chance (RFC 2782, "Usage rules")."""
    left = sorted(records, key=lambda record: (record.priority, record.weight > 0))
    ordered: list[SRV] = []
    while left:
        group = [record for record in left if record.priority == left[0].priority]
        point = choose(sum(record.weight for record in group))
        for record in group:
            point -= record.weight
            if point <= 0:
                break
        ordered.append(record)
        left.remove(record)
    return ordered
