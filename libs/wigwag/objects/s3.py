"""Objects in a bucket of S3 or of what speaks like it (MinIO, Ceph, ...).

Theory of operation. Every object is written by one request, so nothing is ever left half uploaded, and no more than
PUT, GET, LIST and DELETE is asked of the server. The library tries again what may be tried again; all tries together
have one deadline. Who waits for S3 is told at once when it is away: an operation that fails raises, and the next one
finds out by itself whether it is back.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

import obstore
import structlog
from obstore.exceptions import BaseError
from obstore.store import S3Store

from wigwag.errors import ConfigurationError, StoreError

from .s3_errors import Failure, failure_of
from .s3_options import S3Options, endpoint_with_bucket

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

PAGE: Final = 1_000
"""Objects that one request lists or deletes; no more is allowed."""
RETRIES: Final = 3
LOOK: Final = 60.0
"""Seconds between two looks whether it is there."""
LOOK_AWAY: Final = 5.0
"""Likewise, while it is away."""
_PROBE: Final = ".wigwag-check"
"""Folder of the objects that a start writes and deletes again."""

OnAvailability = Callable[[bool, str], None]

logger = structlog.get_logger(__name__)


class S3Objects:
    """A bucket, or what is below a prefix of it. All methods raise StoreError when it is away or refuses.

    Args:
        options: Which, and how to reach it.
        on_availability: Told when it is away and when it is there again, with the reason.

    Raises:
        ConfigurationError: The options make no sense together.
    """

    def __init__(self, options: S3Options, *, on_availability: OnAvailability = lambda available, detail: None) -> None:
        self._options = options
        self._tell = on_availability
        self._store = _store(options)
        self._is_there: bool | None = None

    async def __aenter__(self) -> Self:
        """Look whether the bucket can be written and read.

        Raises:
            ConfigurationError: It is refused, or does not exist. A server that is away is no error: operations fail
                until it is there.
        """
        try:
            await self._check()
        except _RefusedError as error:
            raise ConfigurationError(f"blobs.url {self._options.url}: {error}") from error
        except StoreError as error:
            logger.warning("blob store can't be reached", reason=str(error))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held open but idle connections, which close by themselves."""

    async def watch(self, *, look: float = LOOK, away: float = LOOK_AWAY) -> None:
        """Look now and then whether it is there, until cancelled: who sends no files wants to know it too.

        Args:
            look: Seconds between two looks.
            away: Likewise, while it is away.
        """
        while True:
            await asyncio.sleep(look if self._is_there else away)
            try:
                await self.delete_folder(_PROBE)
            except StoreError:
                continue  # it was told

    async def put(self, key: str, data: bytes) -> None:
        """Write an object; durable when this returns."""
        async with self._asked(f"writing {key}"):
            await obstore.put_async(self._store, key, data, use_multipart=False)

    async def get(self, key: str, start: int, end: int) -> bytes | None:
        """Return an object's octets from ``start`` to before ``end``; None: there is no such object."""
        try:
            async with self._asked(f"reading {key}"):
                return (await obstore.get_range_async(self._store, key, start=start, end=end)).to_bytes()
        except _MissingError:
            return None

    async def delete(self, key: str) -> None:
        """Delete an object, if it is there."""
        await self._delete([key])

    async def delete_folder(self, folder: str) -> None:
        """Delete all objects whose keys begin with ``folder`` and a slash."""
        pages = obstore.list(self._store, folder, chunk_size=PAGE)
        while True:
            async with self._asked(f"listing {folder}"):
                page = await anext(pages, None)
            if not page:
                return
            await self._delete([found["path"] for found in page])

    async def _delete(self, keys: list[str]) -> None:
        try:
            async with self._asked(f"deleting {keys[0]}"):
                await obstore.delete_async(self._store, keys)
        except _MissingError:
            return

    async def _check(self) -> None:
        # Listed first: there are servers that make a missing bucket when something is written to it.
        await self.delete_folder(_PROBE)
        key = f"{_PROBE}/{secrets.token_hex(6)}"
        await self.put(key, b"-")
        await self.get(key, 0, 1)
        await self.delete(key)

    @asynccontextmanager
    async def _asked(self, what: str) -> AsyncGenerator[None, None]:
        try:
            async with asyncio.timeout(self._options.timeout):
                yield
        except (BaseError, OSError, ValueError) as error:
            self._failed(what, failure_of(error, has_keys=self._options.access_key_id is not None), error)
        self._shown(True, "available")

    def _failed(self, what: str, failure: Failure, error: Exception) -> NoReturn:
        if failure.is_missing:
            self._shown(True, "available")
            raise _MissingError(failure.reason) from error
        self._shown(False, failure.reason)
        kind = _RefusedError if failure.is_refusal else StoreError
        raise kind(f"S3, {what}: {failure.reason}") from error

    def _shown(self, is_there: bool, detail: str) -> None:
        if self._is_there is not is_there:
            self._is_there = is_there
            self._tell(is_there, detail)


class _MissingError(StoreError):
    """There is no such object."""


class _RefusedError(StoreError):
    """It fails again as long as nobody changes anything."""


def _store(options: S3Options) -> S3Store:
    seconds = timedelta(seconds=options.timeout)
    client: ClientConfig = {
        "allow_http": options.insecure,
        "connect_timeout": min(seconds, timedelta(seconds=5)),
        "timeout": seconds,
        "user_agent": "wigwag",
    }
    if options.ca_file is not None:
        client["root_certificate"] = _certificates(options.ca_file)
    retry: RetryConfig = {
        "max_retries": RETRIES,
        "retry_timeout": seconds,
        "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=1), "base": 2},
    }
    try:
        return S3Store(
            options.bucket,
            prefix=options.prefix or None,
            client_options=client,
            retry_config=retry,
            **_given(options),
        )
    except (BaseError, ValueError) as error:
        raise ConfigurationError(f"blobs: {str(error).partition(chr(10))[0]}") from error


def _given(options: S3Options) -> dict[str, Any]:
    """Return what the settings say; the library looks for the rest in the environment."""
    endpoint = options.endpoint
    if endpoint is not None and not options.path_style:
        endpoint = endpoint_with_bucket(endpoint, options.bucket)
    said = {
        "endpoint": endpoint,
        "aws_endpoint_url_s3": endpoint,  # or the variable of that name would be stronger
        "region": options.region,
        "access_key_id": options.access_key_id,
        "secret_access_key": options.secret_access_key,
    }
    found: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    return {**found, "virtual_hosted_style_request": not options.path_style}


def _certificates(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"blobs.ca_file {path}: {error.strerror}") from error
    if b"BEGIN CERTIFICATE" not in content:
        raise ConfigurationError(f"blobs.ca_file {path}: no certificate in PEM")
    return content
