"""A real server of S3 on a free loopback port, which checks signatures and rights."""

import os
import re
import shutil
import signal
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import httpx

from tests.support.certificates import Authority
from tests.support.peers import require_moto
from tests.support.processes import Process, free_port, wait_until
from wigwag.objects import S3Options

_SIGNED: Final = "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=x"
_IAM: Final = {"Authorization": _SIGNED.format("iam")}
_POLICY: Final = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:ListBucket","s3:GetObject","s3:PutObject",'
    '"s3:DeleteObject"],"Resource":"*"}]}'
)
"""No more than the documentation says is needed."""


class S3Server:
    """A server that a test may pause, and stop and start again empty."""

    def __init__(self, directory: Path, authority: Authority | None = None) -> None:
        self.directory = directory
        self.port = free_port()
        self.access_key_id = self.secret_access_key = ""
        self._tls = authority.issue("localhost", addresses=("127.0.0.1",)) if authority is not None else None
        self._ca_file = Path(authority.ca_file) if authority is not None else None
        self._process: Process | None = None
        self._is_paused = False
        self._buckets = count(1)

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"{'https' if self._tls is not None else 'http'}://localhost:{self.port}"

    def start(self) -> None:
        """Start it, and make a user with the rights that are needed."""
        command: list[str | Path] = [require_moto(), "-H", "127.0.0.1", "-p", str(self.port)]
        if self._tls is not None:
            command += ["-c", self._tls[0], "-k", self._tls[1]]
        self._process = Process(command, log=self.directory / "log")
        self._process.__enter__()
        self._process.wait_for_port("127.0.0.1", self.port, seconds=60)
        wait_until(self._answers, seconds=60, what="answer from moto")
        with self._admin() as admin:
            for fields in (
                {"Action": "CreateUser", "UserName": "wigwag"},
                {"Action": "PutUserPolicy", "UserName": "wigwag", "PolicyName": "p", "PolicyDocument": _POLICY},
            ):
                admin.post("/", headers=_IAM, data=fields).raise_for_status()
            key = admin.post("/", headers=_IAM, data={"Action": "CreateAccessKey", "UserName": "wigwag"}).text
        self.access_key_id = re.findall("<AccessKeyId>(.+)</AccessKeyId>", key)[0]
        self.secret_access_key = re.findall("<SecretAccessKey>(.+)</SecretAccessKey>", key)[0]
        self.guard(on=True)

    def guard(self, *, on: bool) -> None:
        """Check signatures and rights from now on, or do not."""
        count_of_free_actions = "0" if on else "inf"
        with self._admin() as admin:
            headers = {"Content-Type": "text/plain"}
            admin.post("/moto-api/reset-auth", content=count_of_free_actions, headers=headers).raise_for_status()

    def new_bucket(self) -> str:
        """Make a bucket; returns its name."""
        name = f"bucket-{next(self._buckets)}"
        self.guard(on=False)
        with self._admin() as admin:
            admin.put(f"/{name}").raise_for_status()
        self.guard(on=True)
        return name

    def remove_bucket(self, name: str) -> None:
        """Remove a bucket with all that is in it."""
        self.guard(on=False)
        with self._admin() as admin:
            for key in self._keys(admin, name):
                admin.delete(f"/{name}/{key}").raise_for_status()
            admin.delete(f"/{name}").raise_for_status()
        self.guard(on=True)

    def keys(self, bucket: str) -> list[str]:
        """Return the keys of all objects in a bucket."""
        self.guard(on=False)
        with self._admin() as admin:
            found = self._keys(admin, bucket)
        self.guard(on=True)
        return found

    def uploads(self, bucket: str) -> int:
        """Return how many multipart uploads have not ended."""
        self.guard(on=False)
        with self._admin() as admin:
            found = admin.get(f"/{bucket}", params={"uploads": ""}).raise_for_status().text.count("<Upload>")
        self.guard(on=True)
        return found

    def options(self, bucket: str, **others: Any) -> S3Options:
        """Return how a bucket is reached."""
        given = {
            "bucket": bucket, "endpoint": self.endpoint, "insecure": self._tls is None, "ca_file": self._ca_file,
            "access_key_id": self.access_key_id, "secret_access_key": self.secret_access_key, **others,
        }  # fmt: skip
        return S3Options(**given)

    def settings(self, bucket: str, prefix: str = "") -> dict[str, str]:
        """Return the settings ``blobs`` of a node that keeps its files in a bucket."""
        return {
            "url": f"s3://{bucket}/{prefix}".rstrip("/"),
            "endpoint": self.endpoint,
            "access_key_id": self.access_key_id,
            "secret_access_key": self.secret_access_key,
        }

    def stop(self) -> None:
        """End it, with all that it holds."""
        self.resume()
        if self._process is not None:
            self._process.stop()
            self._process = None

    def pause(self) -> None:
        """Let it hang: it takes connections but does not answer."""
        self._signal(signal.SIGSTOP)
        self._is_paused = True

    def resume(self) -> None:
        """Let it go on."""
        if self._is_paused:
            self._signal(signal.SIGCONT)
            self._is_paused = False

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def _admin(self) -> httpx.Client:
        verify = ssl.create_default_context(cafile=self._ca_file) if self._ca_file is not None else False
        headers = {"Authorization": _SIGNED.format("s3")}
        return httpx.Client(base_url=self.endpoint, headers=headers, trust_env=False, timeout=30.0, verify=verify)

    def _answers(self) -> bool:
        try:
            with self._admin() as admin:
                return admin.get("/moto-api/data.json").is_success
        except httpx.HTTPError:
            return False

    def _keys(self, admin: httpx.Client, bucket: str) -> list[str]:
        keys: list[str] = []
        while True:
            parameters = {"list-type": "2", "start-after": keys[-1] if keys else ""}
            text = admin.get(f"/{bucket}", params=parameters).raise_for_status().text
            keys += re.findall("<Key>(.+?)</Key>", text)
            if "<IsTruncated>true" not in text:
                return keys


@contextmanager
def running_s3(*, tls: bool = False) -> Iterator[S3Server]:
    """Run a server until the block ends."""
    require_moto()
    directory = Path(tempfile.mkdtemp(prefix="wigwag-s3-"))
    server = S3Server(directory, Authority.create(directory) if tls else None)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)
