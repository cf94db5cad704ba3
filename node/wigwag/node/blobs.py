"""The blob store that the settings ask for: S3 when its address is given, else the database."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from wigwag.database import BlobStore, Database
from wigwag.runtime.beside import beside
from wigwag.runtime.clock import wall

from .blob_settings import BlobSettings
from .node_status import BLOBS, NodeStatus


@asynccontextmanager
async def open_blobs(settings: BlobSettings, database: Database, status: NodeStatus) -> AsyncGenerator[BlobStore, None]:
    """Open the blob store until the context ends.

    Args:
        settings: Where it is.
        database: Knows every blob, and holds those that are nowhere else.
        status: Shows whether S3 answers.

    Raises:
        ConfigurationError: The bucket does not exist, or refuses what is asked.
    """
    options = settings.s3()
    if options is None:
        yield BlobStore(database, clock=wall)
        return
    # A node without S3 is spared the time that its client takes to load.
    from wigwag.objects.s3 import S3Objects

    async with S3Objects(options, on_availability=status.availability(BLOBS)) as objects, beside(objects.watch()):
        yield BlobStore(database, clock=wall, objects=objects)
