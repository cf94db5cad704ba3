import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from wigwag.errors import ConfigurationError, StoreError
from wigwag.objects import S3Options
from wigwag.objects.s3 import RETRIES, S3Objects

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: "x"\r\n\r\n'
SLOW_DOWN = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 27\r\n\r\n<Code>SlowDown</Code>      "


@dataclass
class Scripted:
    """A server that answers as it is told, and remembers what it was asked."""

    answers: list[bytes] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    port: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next((line[15:] for line in head.lower().split("\r\n") if line[:15] == "content-length:"), "0")
                await reader.readexactly(int(length))
                self.requests.append(head)
                writer.write(self.answers.pop(0) if self.answers else OK)
                await writer.drain()
        writer.close()

    async def close(self) -> None:
        """Close all connections: the client keeps them for later."""
        for writer in self.writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def options(self, **others: object) -> S3Options:
        given = {
            "bucket": "bucket", "prefix": "p", "endpoint": f"http://localhost:{self.port}", "insecure": True,
            "access_key_id": "key", "secret_access_key": "secret", **others,
        }  # fmt: skip
        return S3Options(**given)  # type: ignore[arg-type]


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    script = Scripted()
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    script.port = server.sockets[0].getsockname()[1]
    yield script
    server.close()
    await script.close()
    await server.wait_closed()


async def test_overloaded_server_is_asked_again(scripted: Scripted) -> None:
    scripted.answers = [SLOW_DOWN, SLOW_DOWN]
    await S3Objects(scripted.options()).put("k", b"data")
    assert [request.partition(" HTTP")[0] for request in scripted.requests] == 3 * ["PUT /bucket/p/k"]


async def test_server_that_stays_overloaded_is_an_error_after_a_few_tries(scripted: Scripted) -> None:
    scripted.answers = 20 * [SLOW_DOWN]
    told: list[tuple[bool, str]] = []
    objects = S3Objects(scripted.options(), on_availability=lambda available, detail: told.append((available, detail)))
    with pytest.raises(StoreError, match="S3, writing k: SlowDown"):
        await objects.put("k", b"data")
    assert len(scripted.requests) == 1 + RETRIES
    scripted.answers.clear()
    await objects.put("k", b"data")
    await objects.put("k", b"data")
    assert told == [(False, "SlowDown"), (True, "available")]


async def test_large_object_is_one_request(scripted: Scripted) -> None:
    await S3Objects(scripted.options()).put("k", bytes(20_000_000))
    assert len(scripted.requests) == 1


async def test_bucket_may_stand_in_the_name_of_the_host(scripted: Scripted) -> None:
    # A name that is found without a name server.
    options = scripted.options(bucket="127", endpoint=f"http://0.0.1:{scripted.port}", path_style=False)
    await S3Objects(options).put("k", b"")
    assert scripted.requests[0].startswith("PUT /p/k ")


async def test_keys_of_the_environment_are_found(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://localhost:{scripted.port}")
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    objects = S3Objects(scripted.options(endpoint=None, access_key_id=None, secret_access_key=None))
    await objects.put("k", b"data")
    assert "Credential=from-environment/" in scripted.requests[0]
    assert "/eu-west-3/s3/" in scripted.requests[0]


async def test_settings_go_before_the_environment(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, "other")
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    await S3Objects(scripted.options(region="eu-west-1")).put("k", b"data")
    assert "Credential=key/" in scripted.requests[0]
    assert "/eu-west-1/s3/" in scripted.requests[0]


async def test_operation_that_is_cancelled_leaves_the_others_alone(scripted: Scripted) -> None:
    objects = S3Objects(scripted.options())
    task = asyncio.create_task(objects.put("k", bytes(1_000_000)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await objects.put("k", b"data")


def test_authorities_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    with pytest.raises(ConfigurationError, match=r"blobs\.ca_file .*missing\.pem: No such file"):
        S3Objects(S3Options(bucket="bucket", ca_file=missing))
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate")
    with pytest.raises(ConfigurationError, match=r"blobs\.ca_file .*wrong\.pem: no certificate"):
        S3Objects(S3Options(bucket="bucket", ca_file=wrong))
