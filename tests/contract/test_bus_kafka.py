"""Kafka that is away, hangs, comes back, comes back empty, or wants to know who we are."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.cluster import ClusterMetadata
from structlog.testing import capture_logs

from tests.support.buses import PATIENCE, Adapter, Collector, new_topic, numbered, replayed
from tests.support.certificates import Authority
from tests.support.kafka_broker import HOST, Broker, running_kafka
from tests.support.waiting import until
from wigwag.bus import Bus, BusError, Earliest, Topic
from wigwag.bus.kafka import KafkaBus
from wigwag.bus.kafka_consumer import KafkaConsumer
from wigwag.bus.kafka_options import KafkaOptions

pytestmark = pytest.mark.peer("kafka")


@pytest.fixture(scope="module")
def own_kafka() -> Iterator[Broker]:
    """A broker that may be taken away: no other test uses it."""
    with running_kafka() as broker:
        yield broker


@pytest.fixture
def broker(own_kafka: Broker) -> Iterator[Broker]:
    """It runs before and after."""
    yield own_kafka
    if not own_kafka.is_running:
        own_kafka.start()


@pytest.fixture
def adapter(broker: Broker) -> Adapter:
    return Adapter("kafka", broker.bootstrap_servers, is_shared=True)


@pytest.fixture
def topic() -> Topic:
    return new_topic()


@dataclass(slots=True)
class Load:
    """Publishers that publish again what they got an error for, until they are told to stop."""

    bus: Bus
    topic: Topic
    acknowledged: list[bytes] = field(default_factory=list)
    errors: list[BusError] = field(default_factory=list)
    is_stopped: bool = False

    async def run(self) -> None:
        await asyncio.gather(*(self._publish(key) for key in ("a", "b", "c")))

    async def _publish(self, key: str) -> None:
        number = 0
        while not self.is_stopped:
            value = f"{key} {number}".encode()
            try:
                await self.bus.publish(self.topic.name, value, key=key)
            except BusError as error:
                self.errors.append(error)
                continue
            self.acknowledged.append(value)
            number += 1
            await asyncio.sleep(0.005)

    async def until_goes_on(self) -> None:
        count = len(self.acknowledged)
        await until(lambda: len(self.acknowledged) > count + 30, PATIENCE)


def in_order(collector: Collector, key: str) -> bool:
    """Whether the first appearance of each record of a key is in its place."""
    firsts = list(dict.fromkeys(int(r.value.split()[1]) for r in collector.records if r.key == key))
    return firsts == sorted(firsts)


async def _follow(bus: Bus, topic: Topic, values: set[bytes]) -> None:
    async for record in bus.replay(topic.name, Earliest(), follow=True):
        values.add(record.value)


async def _trouble(adapter: Adapter, topic: Topic, trouble: Any) -> tuple[Load, list[bool]]:
    told: list[bool] = []
    options: dict[str, Any] = {"publish_timeout": 2.0, "on_availability": lambda is_there, _: told.append(is_there)}
    collector = Collector()
    followed: set[bytes] = set()
    async with adapter.opened(topic, **options) as bus, bus.consume("group", [topic.name], collector):
        load = Load(bus, topic)
        following = asyncio.create_task(_follow(bus, topic, followed))
        loading = asyncio.create_task(load.run())
        await load.until_goes_on()
        await until(lambda: collector.records, PATIENCE)
        await trouble(load)
        await load.until_goes_on()
        load.is_stopped = True
        await loading
        await until(lambda: set(load.acknowledged) <= set(collector.values), PATIENCE)
        await until(lambda: set(load.acknowledged) <= followed, PATIENCE)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    assert all(in_order(collector, key) for key in "abc")
    return load, told


async def test_broker_that_is_killed_and_comes_back_loses_nothing_acknowledged(
    adapter: Adapter, broker: Broker, topic: Topic
) -> None:
    async def kill(load: Load) -> None:
        await asyncio.to_thread(broker.kill)
        await until(lambda: len(load.errors) >= 6, PATIENCE)  # two publishing timeouts without a broker
        await asyncio.to_thread(broker.start)

    load, told = await _trouble(adapter, topic, kill)
    assert "took no record within 2 s" in str(load.errors[0])
    assert told[:2] == [True, False]
    assert told[-1]


async def test_broker_that_hangs_longer_than_a_session_loses_nothing_acknowledged(
    adapter: Adapter, broker: Broker, topic: Topic
) -> None:
    async def hang(load: Load) -> None:
        broker.pause()
        try:
            await until(lambda: len(load.errors) >= 12, PATIENCE)
        finally:
            broker.resume()

    load, told = await _trouble(adapter, topic, hang)
    assert load.errors
    assert told[-1]


async def test_broker_that_comes_back_empty_gets_its_topics_again(
    adapter: Adapter, broker: Broker, topic: Topic
) -> None:
    collector = Collector()
    async with adapter.opened(topic, publish_timeout=2.0) as bus, bus.consume("group", [topic.name], collector):
        await bus.publish(topic.name, b"before", key="key")
        await collector.until_has(b"before")
        await asyncio.to_thread(broker.kill)
        broker.erase()
        await asyncio.to_thread(broker.start)
        await _published(bus, topic, b"after")
        await collector.until_has(b"after")
        found = await replayed(bus.replay(topic.name, Earliest()))
        assert {record.value for record in found} == {b"after"}


async def test_opening_does_not_wait_for_a_broker_and_all_begins_once_it_is_there(
    adapter: Adapter, broker: Broker, topic: Topic
) -> None:
    await asyncio.to_thread(broker.kill)
    collector = Collector()
    async with adapter.opened(topic, publish_timeout=0.3) as bus, bus.consume("group", [topic.name], collector):
        with pytest.raises(BusError):
            await bus.publish(topic.name, b"0", key="key")
        with pytest.raises(BusError, match="Kafka is not there"):
            await replayed(bus.replay(topic.name, Earliest()))
        await asyncio.to_thread(broker.start)
        await _published(bus, topic, b"1")
        await collector.until_has(b"1")


async def test_bus_closes_in_good_order_while_the_broker_is_away(
    adapter: Adapter, broker: Broker, topic: Topic
) -> None:
    collector = Collector()
    async with asyncio.timeout(60):
        async with adapter.opened(topic, publish_timeout=1.0) as bus, bus.consume("group", [topic.name], collector):
            await bus.publish(topic.name, b"0", key="key")
            await collector.until_has(b"0")
            await asyncio.to_thread(broker.kill)


async def _published(bus: Bus, topic: Topic, value: bytes) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await bus.publish(topic.name, value, key="key")
            except BusError:
                continue
            return


# Topics


async def test_topics_are_made_as_declared_and_left_alone_when_they_exist(broker: Broker, topic: Topic) -> None:
    options = KafkaOptions(bootstrap_servers=broker.bootstrap_servers, partitions=3)
    async with KafkaBus(options) as bus:
        with capture_logs() as logs:
            bus.declare(Topic(topic.name, partitions=5))
            await bus.publish(topic.name, b"value", key="key")
        assert [log["replication"] for log in logs if log["event"].startswith("records are not safe")] == [1]
    async with KafkaBus(options) as bus:
        with capture_logs() as logs:
            bus.declare(topic)
            await bus.publish(topic.name, b"value", key="key")
        (warning,) = (log for log in logs if log["event"] == "topic has another number of partitions")
        assert (warning["topic"], warning["found"], warning["wanted"]) == (topic.name, 5, 3)


@dataclass(slots=True)
class View:
    """What clients see of a topic's partitions in the cluster; a broker may know later of a topic than who made it."""

    topic: Topic
    is_behind: bool = True
    hidden: int = 0
    """Answers in which the topic was missing."""

    def see(self, update: Callable[[Any, Any], None], cluster: Any, answer: Any) -> None:
        """Take an answer, as it is or without the topic."""
        rows = [row for row in answer.topics if self.topic.name not in row[:2]]
        if self.is_behind and len(rows) < len(answer.topics):
            answer.topics = rows
            self.hidden += 1
        update(cluster, answer)


async def test_topic_that_a_broker_does_not_know_of_yet_is_consumed_as_soon_as_it_does(
    adapter: Adapter, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever leads the group without seeing the topic would give partitions to nobody, and not look again for long."""
    topic = Topic(topic.name, partitions=4)
    view, update = View(topic), ClusterMetadata.update_metadata
    monkeypatch.setattr(ClusterMetadata, "update_metadata", lambda cluster, answer: view.see(update, cluster, answer))
    assigned: list[int] = []
    assign = KafkaConsumer.on_partitions_assigned

    async def note(consumer: KafkaConsumer, partitions: Sequence[TopicPartition]) -> None:
        assigned.append(len(partitions))
        await assign(consumer, partitions)

    monkeypatch.setattr(KafkaConsumer, "on_partitions_assigned", note)
    collector = Collector()
    async with adapter.opened(topic) as bus, bus.consume("group", [topic.name], collector):
        await until(lambda: view.hidden >= 10 or assigned, PATIENCE)
        view.is_behind = False
        await bus.publish(topic.name, b"value", key="key")
        await collector.until_has(b"value")
    assert assigned == [4]


async def test_partitions_that_a_topic_is_given_later_are_consumed(
    adapter: Adapter, broker: Broker, topic: Topic
) -> None:
    collector = Collector()
    async with adapter.opened(Topic(topic.name, partitions=1)) as bus, bus.consume("group", [topic.name], collector):
        await bus.publish(topic.name, b"before", key="key")
        await collector.until_has(b"before")
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
        await admin.start()
        await admin.create_partitions({topic.name: NewPartitions(total_count=8)})
        await admin.close()
        async with adapter.opened(Topic(topic.name, partitions=8)) as other:
            positions = [await other.publish(topic.name, value, key=value.decode()) for value in numbered(30)]
        assert len({position.partition for position in positions}) > 1
        await collector.until_has(*numbered(30))


# Who may connect

_SECURITY = """
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required user_wigwag="secret";
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def guarded_kafka(authority: Authority) -> Iterator[Broker]:
    certificate, key = authority.issue("localhost", addresses=(HOST,))
    keystore = authority.directory / "keystore.pem"
    keystore.write_text(Path(key).read_text() + Path(certificate).read_text())
    users = [f"SCRAM-SHA-{bits}=[name=wigwag,password=secret]" for bits in (256, 512)]
    more = _SECURITY.format(keystore=keystore)
    with running_kafka(more, listeners=["SSL", "SASL_SSL"], scram_users=users) as broker:
        yield broker


@pytest.mark.parametrize(
    "security",
    [
        {"security_protocol": "SSL"},
        {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN"},
        {"security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-256"},
        {"security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512"},
    ],
    ids=lambda security: "-".join(security.values()),
)
async def test_encrypted_and_authenticated_connections_are_used_for_everything(
    guarded_kafka: Broker, authority: Authority, topic: Topic, security: dict[str, Any]
) -> None:
    collector = Collector()
    async with _guarded(guarded_kafka, authority.ca_file, "secret", security) as bus:
        bus.declare(topic)
        async with bus.consume("group", [topic.name], collector):
            await bus.publish(topic.name, b"value", key="key")
            await collector.until_has(b"value")
        assert len(await replayed(bus.replay(topic.name, Earliest()))) == 1


@pytest.mark.parametrize("wrong", ["password", "authority"])
async def test_wrong_credentials_are_named_and_nothing_is_published(
    guarded_kafka: Broker, authority: Authority, tmp_path: Path, topic: Topic, wrong: str
) -> None:
    stranger = Authority.create(tmp_path)
    told: list[str] = []
    async with _guarded(
        guarded_kafka,
        stranger.ca_file if wrong == "authority" else authority.ca_file,
        "wrong" if wrong == "password" else "secret",
        {"security_protocol": "SASL_SSL"},
        publish_timeout=2.0,
        on_availability=lambda is_there, detail: told.append(detail),
    ) as bus:
        bus.declare(topic)
        with pytest.raises(BusError):
            await bus.publish(topic.name, b"value", key="key")
    assert "Kafka can't be used" in told[0]


def _guarded(broker: Broker, ca_file: str, password: str, security: dict[str, Any], **options: Any) -> KafkaBus:
    port = broker.ports[security["security_protocol"]]
    return KafkaBus(
        KafkaOptions(
            bootstrap_servers=f"{HOST}:{port}",
            ca_file=Path(ca_file),
            username="wigwag",
            password=password,
            partitions=2,
            **security,
        ),
        **options,
    )
