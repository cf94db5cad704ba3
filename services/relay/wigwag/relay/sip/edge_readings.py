"""The metrics of the SIP edge, read from its plain integers when somebody asks."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from wigwag.protocols.sip.transactions import Transactions
from wigwag.runtime.names import (
    SIP_AUTHENTICATIONS,
    SIP_BANS,
    SIP_BANS_IMPOSED,
    SIP_CONNECTIONS,
    SIP_DATAGRAM_COUNTERS,
    SIP_GATEWAY_CALLS,
    SIP_OVERLOAD_LEVEL,
    SIP_REFUSED,
    SIP_REQUESTS,
    SIP_RESPONSES,
    SIP_TRANSACTION_COUNTERS,
    SIP_TRANSACTIONS,
)
from wigwag.runtime.telemetry import Reading

from .edge import Edge
from .gateway.calls import CAUSES


class MeasuredDatagrams(Protocol):
    """What the metrics need of a UDP listener."""

    name: str
    received: int
    sent: int
    dropped: int
    keep_alives: int

    def kernel_drops(self) -> int:
        """Datagrams that the kernel dropped because its receive buffer was full."""


def edge_readings(edge: Edge, datagrams: Iterable[MeasuredDatagrams], streams: Mapping[str, int]) -> Iterable[Reading]:
    """Yield the metrics of an edge.

    Args:
        edge: The edge.
        datagrams: Its UDP listeners.
        streams: How many connections each other listener has.
    """
    for method, count in edge.requests.items():
        yield SIP_REQUESTS.read(count, method=method)
    for number, count in enumerate(edge.responses):
        if number:
            yield SIP_RESPONSES.read(count, status=f"{number}xx")
    yield from _transaction_readings(edge.transactions)
    yield from _protection_readings(edge)
    for cause in CAUSES:
        yield SIP_GATEWAY_CALLS.read(edge.gateway.counters[cause], cause=cause)
    for listener in datagrams:
        for metric in SIP_DATAGRAM_COUNTERS:
            value = getattr(listener, metric.name.rpartition(".")[2])
            yield metric.read(value() if callable(value) else value, listener=listener.name)
    for name, count in streams.items():
        yield SIP_CONNECTIONS.read(count, listener=name)


def _transaction_readings(transactions: Transactions) -> Iterable[Reading]:
    yield SIP_TRANSACTIONS.read(len(transactions.servers), side="server")
    yield SIP_TRANSACTIONS.read(len(transactions.clients), side="client")
    for metric in SIP_TRANSACTION_COUNTERS:
        yield metric.read(getattr(transactions, metric.name.rpartition(".")[2]))


def _protection_readings(edge: Edge) -> Iterable[Reading]:
    protection, shedding, counters = edge.protection, edge.shedding, edge.counters
    for result, count in (
        ("success", counters["auth_successes"]),
        ("failure", counters["auth_failures"]),
        ("replay", counters["nonce_replays"]),
        ("unavailable", counters["credentials_unavailable"]),
        ("challenge", edge.challenges.sent),
    ):
        yield SIP_AUTHENTICATIONS.read(count, result=result)
    for reason, count in (
        ("overload", shedding.refused),
        ("overload_unanswered", shedding.dropped),
        ("transactions", edge.transactions.refused),
        ("malformed", counters["broken"]),
        ("address_rate", protection.datagrams_dropped),
        ("address_pause", protection.pauses),
        ("address_connections", protection.connections_refused),
        ("address_challenges", protection.challenges_dropped),
        ("user_rate", protection.users_refused),
        ("banned", protection.banned_dropped),
    ):
        yield SIP_REFUSED.read(count, reason=reason)
    yield SIP_BANS.read(len(protection.bans))
    yield SIP_BANS_IMPOSED.read(protection.bans.imposed)
    yield SIP_OVERLOAD_LEVEL.read(shedding.overload.level)
