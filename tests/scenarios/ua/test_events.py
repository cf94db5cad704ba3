"""Events of two pods over a real Kafka: webhooks, dead letters, and tokens with which watchers go on anywhere."""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support.cluster import DOMAIN, quiet_port
from tests.support.http_server import HttpServer, answer, http_server
from tests.support.kafka_broker import running_broker
from tests.support.postgresql import running_postgresql
from tests.support.redis_server import running_redis
from tests.support.ua_cluster import APPLICATION, UaCluster, UaPod, running_agents
from tests.support.ua_node import wait_for
from tests.support.waiting import until
from wigwag.api.ua.v1 import event_pb2, ua_pb2, ua_pb2_grpc
from wigwag.bus import DEAD_REASON, Earliest
from wigwag.bus.kafka import KafkaBus
from wigwag.bus.kafka_options import KafkaOptions
from wigwag.database import Database
from wigwag.database.applications import ApplicationRow, Applications
from wigwag.runtime.events import SESSIONS_EVENTS
from wigwag.runtime.rpc import open_channel
from wigwag.ua.api.feed import entry_of
from wigwag.ua.api.presenting import event_json

PATIENCE = 120.0
SESSIONS = 30
SECRET = "webhook-secret-0123456789"
NOBODY = f"sip:nobody@{DOMAIN}"

Event = dict[str, Any]


class Stage:
    """The pods, and what applications see of them."""

    def __init__(self, cluster: UaCluster, kafka: str, database: str, port: int) -> None:
        self.cluster, self.kafka, self.database, self.port = cluster, kafka, database, port

    @property
    def pods(self) -> Sequence[UaPod]:
        return self.cluster.pods

    async def start(self, pod: UaPod, count: int) -> list[str]:
        """Call nobody so often; returns the sessions, each of which has an event when it starts and when it ends."""
        async with httpx.AsyncClient(base_url=pod.api, timeout=PATIENCE, trust_env=False) as client:
            answers = [
                await client.post("/v1/sessions", json={"application": APPLICATION, "to_uri": NOBODY})
                for _ in range(count)
            ]
        return [each.raise_for_status().json()["session_id"] for each in answers]

    async def log(self) -> list[Event]:
        """Return all events that Kafka has, in order."""
        async with KafkaBus(KafkaOptions(bootstrap_servers=self.kafka)) as bus:
            bus.declare(SESSIONS_EVENTS)
            found = [entry_of(record) async for record in bus.replay(SESSIONS_EVENTS.name, Earliest())]
        return [event_json(entry.event) for entry in found if entry is not None]

    async def ended(self, sessions: Sequence[str]) -> list[Event]:
        """Wait until all these sessions have ended; returns their events in order."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found = [event for event in await self.log() if event["session_id"] in sessions]
                if {event["session_id"] for event in found if is_end(event)} == set(sessions):
                    return found
                await asyncio.sleep(0.2)

    async def dead(self) -> list[tuple[Event, str]]:
        """Return the dead letters of events, with the reasons."""
        async with KafkaBus(KafkaOptions(bootstrap_servers=self.kafka)) as bus:
            bus.declare(SESSIONS_EVENTS)
            found = [record async for record in bus.replay(f"{SESSIONS_EVENTS.name}.dead", Earliest())]
        entries = [(entry_of(record), record.headers[DEAD_REASON].decode()) for record in found]
        return [(event_json(entry.event), reason) for entry, reason in entries if entry is not None]


def is_end(event: Event) -> bool:
    return bool(event["type"] == "session_changed" and event["session"]["state"] == "ended")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    directory, port = tmp_path_factory.mktemp("events"), quiet_port()
    with running_redis() as redis, running_broker() as kafka, running_postgresql() as postgresql:
        database = asyncio.run(postgresql.new_database())
        cluster = UaCluster(
            directory,
            2,
            ["alice"],
            redis_url=redis.url,
            kafka=kafka.bootstrap_servers,
            database=database,
            application={"webhook_url": f"http://127.0.0.1:{port}/hook", "webhook_secret": SECRET},
            api={"private_webhooks": True},
        )
        with running_agents(cluster):
            yield Stage(cluster, kafka.bootstrap_servers, database, port)


@asynccontextmanager
async def webhook(stage: Stage) -> AsyncIterator[HttpServer]:
    """Take every event, until told otherwise."""
    async with http_server(stage.port) as hook:
        hook.respond = answer(204, b"")
        yield hook


def posted(hook: HttpServer, sessions: Sequence[str]) -> list[Event]:
    """Return the events of these sessions as they were posted, repetitions too."""
    found = [body for _, _, body in hook.requests]
    return [event for event in found if event["session_id"] in sessions]


def by_session(events: Sequence[Event]) -> dict[str, list[str]]:
    """Return the ids of the events of each session in the order of their first coming."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for event in events:
        found[event["session_id"]].setdefault(event["event_id"])
    return {session: list(ids) for session, ids in found.items()}


async def test_each_event_is_posted_by_one_of_two_pods_in_the_order_of_its_session(stage: Stage) -> None:
    async with webhook(stage) as hook:
        first = await stage.start(stage.pods[0], 1)
        await until(lambda: any(is_end(event) for event in posted(hook, first)), PATIENCE)
        sessions = [session for pod in stage.pods for session in await stage.start(pod, SESSIONS)]
        told = await stage.ended(sessions)
        await until(lambda: by_session(posted(hook, sessions)).keys() == set(sessions), PATIENCE)
        await until(lambda: sum(map(is_end, posted(hook, sessions))) >= len(sessions), PATIENCE)
        events = posted(hook, sessions)
    assert by_session(events) == by_session(told)
    assert len(events) == len(told), "an event was posted by both"
    assert {event["event_id"]: event for event in events} == {event["event_id"]: event for event in told}


async def test_each_event_is_posted_though_the_pod_that_posts_is_killed(stage: Stage) -> None:
    victim, other = stage.pods
    async with webhook(stage) as hook:
        before = [session for pod in stage.pods for session in await stage.start(pod, SESSIONS)]
        victim.kill()
        while_away = await stage.start(other, SESSIONS)
        victim.start()
        victim.wait_until_ready()
        sessions = [*before, *while_away, *await stage.start(victim, 5)]
        told = await stage.ended(sessions)
        await until(lambda: by_session(posted(hook, sessions)) == by_session(told), PATIENCE)


async def test_what_a_webhook_refuses_is_a_dead_letter_and_holds_up_its_own_session_only(stage: Stage) -> None:
    refused: list[str] = []
    async with webhook(stage) as hook:

        async def respond(writer: asyncio.StreamWriter) -> None:
            event = hook.requests[-1][2]
            if not refused and event["session"]["state"] == "starting":
                refused.append(event["event_id"])
            writer.write(answer(410 if event["event_id"] in refused else 204, b"", "Connection: close"))
            await writer.drain()

        hook.respond = respond
        sessions = await stage.start(stage.pods[0], 5)
        told = await stage.ended(sessions)
        blocked = next(event["session_id"] for event in told if event["event_id"] in refused)
        others = [session for session in sessions if session != blocked]
        await until(lambda: sum(map(is_end, posted(hook, others))) == len(others), PATIENCE)
        assert not any(is_end(event) for event in posted(hook, [blocked]))
        await until(lambda: any(is_end(event) for event in posted(hook, [blocked])), PATIENCE)
        tries = [event for event in posted(hook, [blocked]) if event["event_id"] in refused]
    # More, when its partition came to the other pod meanwhile, which counts anew.
    assert len(tries) >= 5
    letters = [each for each in await stage.dead() if each[0]["session_id"] == blocked]
    reason = f"the webhook of {APPLICATION} did not take it in 5 tries: answered 410"
    assert {(event["event_id"], why) for event, why in letters} == {(refused[0], reason)}


@asynccontextmanager
async def frames(pod: UaPod, token: str = "") -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """Open the WebSocket until the block ends; yields its frames until the pod is gone."""
    url = f"{pod.api.replace('http', 'ws')}/v1/events?application={APPLICATION}&resume_token={token}"
    # A client that has stopped reading does not see the connection's end, and waits ten seconds for it.
    async with connect(url, proxy=None, max_queue=None) as socket, aclosing(_decoded(socket)) as decoded:
        yield decoded


async def _decoded(socket: ClientConnection) -> AsyncGenerator[dict[str, Any], None]:
    with suppress(ConnectionClosed):
        async for text in socket:
            yield json.loads(text)


async def watched(pod: UaPod, token: str, sessions: Sequence[str]) -> list[Event]:
    """Return the events from a token on until all these sessions have ended."""
    events: list[Event] = []
    async with asyncio.timeout(PATIENCE), frames(pod, token) as coming:
        async for frame in coming:
            if "event" in frame:
                events.append(frame["event"])
            if {event["session_id"] for event in events if is_end(event)} >= set(sessions):
                return events
    raise AssertionError("the watch ended")


async def watched_over_grpc(pod: UaPod, token: str, sessions: Sequence[str]) -> list[event_pb2.Event]:
    """Likewise, over gRPC."""
    events: list[event_pb2.Event] = []
    service = ua_pb2.DESCRIPTOR.services_by_name["UaService"]
    async with open_channel(pod.target, services=[service]) as channel, asyncio.timeout(PATIENCE):
        stub: Any = ua_pb2_grpc.UaServiceStub(channel)
        async for response in stub.Watch(ua_pb2.WatchRequest(application=APPLICATION, resume_token=token)):
            events += response.events
            if {event["session_id"] for event in map(event_json, events) if is_end(event)} >= set(sessions):
                return events
    raise AssertionError("the watch ended")


async def test_a_token_goes_on_where_it_stands_after_a_kill_at_that_pod_and_at_another(stage: Stage) -> None:
    pod, other = stage.pods
    seen: list[Event] = []
    token, killed = "", False
    async with webhook(stage):
        sessions = await stage.start(other, 5)
        async with asyncio.timeout(PATIENCE), frames(pod) as coming:
            async for frame in coming:
                token = frame.get("resume_token", token)
                if not seen and "event" not in frame:
                    sessions += await stage.start(other, SESSIONS)
                seen += [frame["event"]] if "event" in frame else []
                if sum(map(is_end, seen)) >= SESSIONS // 2 and "resume_token" in frame and not killed:
                    pod.kill()
                    killed = True
                    break
        assert killed
        sessions += await stage.start(other, SESSIONS)
        pod.start()
        pod.wait_until_ready()
        sessions += await stage.start(pod, SESSIONS)
        told = await stage.ended(sessions)
        first_seen = {event["event_id"] for event in seen}
        missed = [
            event for event in told if event["event_id"] not in first_seen and event["session_id"] not in sessions[:5]
        ]
        wanted = sessions[5 + SESSIONS :]
        for rest in (
            await watched(pod, token, wanted),
            await watched(other, token, wanted),
            [event_json(event) for event in await watched_over_grpc(pod, token, wanted)],
        ):
            ids = [event["event_id"] for event in rest]
            assert len(ids) == len(set(ids)), "an event came twice"
            assert not first_seen & set(ids), "what was had before came again"
            assert {event["event_id"] for event in missed} <= set(ids)
            told_of_rest = {session: [id_ for id_ in each if id_ in ids] for session, each in by_session(told).items()}
            for session, each in by_session(rest).items():
                assert session not in told_of_rest or told_of_rest[session] == each


async def test_a_reload_at_one_pod_is_one_at_all(stage: Stage) -> None:
    one, other = stage.pods
    async with Database(stage.database) as database, httpx.AsyncClient(trust_env=False) as client:
        table = Applications(database)
        for name in ("fresh-1", "fresh-2"):
            await table.put(ApplicationRow(name=name, uris=(f"sip:{name}@{DOMAIN}",)))
            began = time.monotonic()
            told = await client.post(f"{one.url}/v1/applications/reload")
            assert (told.status_code, told.json()["problem"]) == (200, None)

            async def known(name: str = name) -> bool:
                asked = {"application": name, "to_uri": NOBODY}
                return (await client.post(f"{other.api}/v1/sessions", json=asked)).status_code == 201

            await wait_for(known, name)
            assert time.monotonic() - began < 2.0
