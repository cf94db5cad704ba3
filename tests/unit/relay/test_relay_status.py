"""What the relay tells of certificates, sources and refusals."""

import datetime
from dataclasses import dataclass

import pytest

from wigwag.errors import DatabaseError
from wigwag.protocols.digest import StoredCredentials
from wigwag.relay.routing import RouteDecision, RouteQuestion
from wigwag.relay.status import EXPIRING, QUIET, RelayStatus
from wigwag.runtime.http_hook import HookTimeoutError
from wigwag.runtime.status import Identifier, Severity, StatusTree

NOON = datetime.datetime(2026, 11, 25, 12, tzinfo=datetime.UTC)


@dataclass
class Certificates:
    expires: datetime.datetime


@dataclass
class FakeListener:
    name: str = "tls"
    accept_pauses: int = 0
    tls: Certificates | None = None
    address: tuple[str, int] = ("127.0.0.1", 2855)


class World:
    """A status tree whose clock is turned by hand."""

    def __init__(self) -> None:
        self.time = NOON.timestamp()
        self.tree = StatusTree(lambda: self.time)
        self.status = RelayStatus(self.tree)

    def identifier(self, group: str, name: str = "main") -> Identifier:
        found = self.tree.group(group).find(name)
        assert found is not None
        return found


@pytest.fixture
def world() -> World:
    return World()


def listener_with(days: float) -> FakeListener:
    return FakeListener(tls=Certificates(NOON + datetime.timedelta(days=days)))


@pytest.mark.parametrize(
    ("days", "number", "text"),
    [(100, 1, "valid until"), (13.9, EXPIRING, "expires on"), (0, -1, "expired on"), (-5, -1, "expired on")],
)
def test_certificates_tell_how_long_they_serve(world: World, days: float, number: int, text: str) -> None:
    world.status.listening(listener_with(days))
    identifier = world.identifier("certificates", "tls")
    assert identifier.status == number
    assert identifier.details.startswith(text)


def test_certificates_that_grow_old_are_told_once_each_time(world: World) -> None:
    listener = listener_with(15)
    world.status.listening(listener)
    for day in range(20):
        world.time = NOON.timestamp() + day * 86_400
        for _ in range(3):
            world.status.look([listener], {})
    reports = world.identifier("certificates", "tls").reports
    assert [report.severity for report in reports] == [Severity.INFO, Severity.WARNING, Severity.ERROR]


def test_a_reload_that_failed_shows_until_one_succeeds_and_the_relay_stays_ready(world: World) -> None:
    listener = listener_with(100)
    world.status.listening(listener)
    world.status.serving()
    world.status.reloaded({"tls": "server.pem: no certificate in PEM"}, [listener])
    world.status.look([listener], {})
    identifier = world.identifier("certificates", "tls")
    assert identifier.status == -1
    assert "no certificate in PEM; the old one stays in use until 2027-03-05" in identifier.details
    assert world.identifier("relay").ready
    world.status.reloaded({"tls": "reloaded"}, [listener])
    assert identifier.ready
    assert [report.text for report in identifier.reports][-2] == "reloaded"


def test_refusals_are_told_at_once_and_then_together(world: World) -> None:
    listener = FakeListener()
    events = world.identifier("relay", "events")
    world.status.look([listener], {"refused_total": 0})
    for second in range(int(QUIET) + 2):
        world.status.look([listener], {"refused_total": 1 + second})
        world.time += 1
    assert [report.text for report in events.reports] == [
        "1 connections refused: too many were open",
        "60 connections refused: too many were open",
    ]


def test_a_clock_set_back_silences_nothing(world: World) -> None:
    listener = FakeListener(accept_pauses=1)
    world.status.look([listener], {})
    world.time -= 3_600
    listener.accept_pauses = 3
    world.status.look([listener], {})
    assert [report.text[:6] for report in world.identifier("relay", "events").reports] == ["tls: 1", "tls: 2"]


def test_looks_are_paced(world: World) -> None:
    due = [second for second in range(10) if world.status.due(float(second))]
    assert due == [0, 2, 4, 6, 8]


def test_a_drain_closes_what_listens(world: World) -> None:
    world.status.listening(FakeListener())
    world.status.serving()
    world.status.draining()
    assert not world.identifier("relay").ready
    assert not world.identifier("listeners", "tls").ready
    assert world.identifier("relay", "events").ready


def test_keys_that_cannot_be_read_again_show_until_they_can(world: World) -> None:
    for problem in ("", "", "keys.json: no such file", "keys.json: no such file", ""):
        world.status.keys(["b", "a"], problem=problem)
    assert [report.text for report in world.identifier("keys").reports] == [
        "keys in force, newest first: b, a",
        "keys.json: no such file; the old ones hold",
        "keys in force, newest first: b, a",
    ]


def test_pods_and_links_come_and_go(world: World) -> None:
    for others, links in (
        (["b", "c"], {}),
        (["b", "c"], {"b": "connecting"}),
        (["b", "c"], {"b": "up", "c": "up"}),
        (["b"], {"b": "up"}),
    ):
        world.status.cluster(others, links)
    main = world.identifier("cluster")
    assert [report.text for report in main.reports] == ["b joined", "c joined", "c is gone"]
    assert (main.status, main.details) == (1, "other pods: 1")
    assert [identifier.name for identifier in world.tree.group("cluster")] == ["main", "b"]
    assert [report.text for report in world.identifier("cluster", "b").reports] == ["link connecting", "link up"]


class Unsteady:
    """A source of credentials, and of routes, that may fail."""

    def __init__(self) -> None:
        self.fails = False

    async def credentials(self, username: str, domain: str) -> StoredCredentials | None:
        if self.fails:
            raise DatabaseError("connection refused")
        return None

    async def decide(self, question: RouteQuestion) -> RouteDecision | None:
        raise HookTimeoutError("hook at routes.test: no answer within 2 s")


async def test_a_source_that_fails_is_told_and_its_error_passes(world: World) -> None:
    source = Unsteady()
    watched = world.status.watched("database", source, "table subscriber")
    assert await watched.credentials("alice", "example.com") is None
    source.fails = True
    with pytest.raises(DatabaseError):
        await watched.credentials("alice", "example.com")
    identifier = world.identifier("credentials", "database")
    assert (identifier.status, identifier.details) == (-1, "connection refused")
    source.fails = False
    world.time += 10
    await watched.credentials("alice", "example.com")
    assert (identifier.status, identifier.details) == (1, "table subscriber")


async def test_a_routing_service_that_fails_is_told_and_its_error_passes(world: World) -> None:
    question = RouteQuestion(source="192.0.2.1", listener="tls", scheme="msrps", destination="b.example")
    with pytest.raises(HookTimeoutError):
        await world.status.watched_hook(Unsteady()).decide(question)
    assert world.identifier("routes", "hook").details == "hook at routes.test: no answer within 2 s"
