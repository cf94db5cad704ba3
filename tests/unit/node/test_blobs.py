from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import free_port
from wigwag.database import Database
from wigwag.errors import ConfigurationError, StoreError
from wigwag.node.application import Node
from wigwag.node.blob_settings import BlobSettings
from wigwag.node.blobs import open_blobs
from wigwag.node.configuration import InvalidSettingsError, load
from wigwag.node.node_status import BLOBS, NodeStatus
from wigwag.node.settings import Settings
from wigwag.runtime.clock import wall

KEYS = {"access_key_id": "key", "secret_access_key": "secret"}


def complaint(**settings: str) -> str:
    with pytest.raises(InvalidSettingsError) as caught:
        load({f"WIGWAG_BLOBS__{name.upper()}": value for name, value in settings.items()})
    return str(caught.value)


def away(**others: Any) -> dict[str, Any]:
    return {"url": "s3://bucket/p", "endpoint": f"http://127.0.0.1:{free_port()}", "timeout": 1.0, **KEYS, **others}


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"url": "/var/blobs"}, "blobs.url (WIGWAG_BLOBS__URL): the form is s3://bucket or s3://bucket/prefix"),
        ({"url": "s3://k:s@bucket"}, "endpoint, region and keys are settings of their own"),
        ({"url": "s3://b"}, "a bucket's name has 3 to 63"),
        ({"url": "s3://bucket", "endpoint": "minio:9000"}, "blobs.endpoint (WIGWAG_BLOBS__ENDPOINT): the form is"),
        ({"url": "s3://bucket", "endpoint": "https://host/bucket"}, "the form is http://host, https://host"),
        ({"url": "s3://bucket", "endpoint": "https://host:99999"}, "the form is http://host, https://host"),
        ({"url": "s3://bucket", "endpoint": "http://minio.example:9000"}, "use https, or set insecure"),
        ({"url": "s3://bucket", "access_key_id": "key"}, "go together"),
        ({"url": "s3://bucket", "timeout": "0"}, "blobs.timeout"),
        ({"endpoint": "https://minio.example"}, "url is not set, so endpoint would do nothing"),
    ],
)
def test_settings_that_cannot_work_are_named(settings: dict[str, str], text: str) -> None:
    assert text in complaint(**settings)


def test_secret_is_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("the-secret\n")
    environment = {
        "WIGWAG_BLOBS__URL": "s3://bucket", "WIGWAG_BLOBS__ACCESS_KEY_ID": "key",
        "WIGWAG_BLOBS__SECRET_ACCESS_KEY_FILE": str(file),
    }  # fmt: skip
    configuration = load(environment)
    options = configuration.settings.blobs.s3()
    assert options is not None
    assert options.secret_access_key == "the-secret"
    assert "the-secret" not in "".join(row.value for row in configuration.rows())


def test_plain_http_goes_to_this_machine_and_where_it_is_allowed() -> None:
    assert BlobSettings().s3() is None
    here = BlobSettings(url="s3://bucket", endpoint="http://localhost:9000/").s3()
    there = BlobSettings(url="s3://bucket", endpoint="http://minio:9000", insecure=True).s3()
    assert here is not None
    assert there is not None
    assert (here.endpoint, here.insecure, there.insecure) == ("http://localhost:9000", True, True)


async def test_bucket_that_is_away_fails_operations_but_neither_start_nor_readiness(tmp_path: Path) -> None:
    sip = {"listeners": [{"name": "tcp", "kind": "tcp", "host": "127.0.0.1", "port": 0}]}
    settings = Settings.model_validate(
        {"node": {"data_dir": tmp_path}, "admin": {"port": 0}, "relay": {"sip": sip}, "blobs": away()}
    )
    async with Node(settings, []) as node:
        group = node.status.tree.find(BLOBS)
        assert group is not None
        (main,) = group
        assert (main.ready, main.details) == (False, "Connection refused")


async def test_blobs_fail_while_the_bucket_is_away(tmp_path: Path) -> None:
    status = NodeStatus([], now=wall)
    async with (
        Database(f"sqlite:///{tmp_path / 'x.sqlite3'}") as database,
        open_blobs(BlobSettings(**away()), database, status) as blobs,
    ):
        writer = await blobs.create()
        with pytest.raises(StoreError, match="Connection refused"):
            await writer.append(bytes(2_000_000))


async def test_bucket_whose_authorities_are_missing_ends_the_start(tmp_path: Path) -> None:
    settings = BlobSettings(**away(ca_file=tmp_path / "missing.pem"))
    async with Database(f"sqlite:///{tmp_path / 'x.sqlite3'}") as database:
        with pytest.raises(ConfigurationError, match=r"blobs\.ca_file"):
            async with open_blobs(settings, database, NodeStatus([], now=wall)):
                pass
