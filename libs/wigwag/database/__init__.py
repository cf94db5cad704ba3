"""SQL: tables (with OpenSIPS names where it has them), sessions, migrations."""

from .applications import ApiKeyRow, ApplicationRow, Applications
from .archive import ArchivedMessage, MessageArchive
from .blob_objects import Objects
from .blobs import Blob, BlobStore, BlobWriter
from .blocks import BlockRow, Blocks, normal_pattern
from .engine import Database
from .file_parts import FilePart, FileParts
from .filters import MessageFilter
from .profiles import TcpProfileRow, tcp_profiles
from .routes import RelayRouteRow, relay_routes
from .sip_routes import SipPoolMemberRow, SipRouteRow, sip_pool_members, sip_routes
from .subscribers import Subscribers

__all__ = [
    "ApiKeyRow",
    "ApplicationRow",
    "Applications",
    "ArchivedMessage",
    "Blob",
    "BlobStore",
    "BlobWriter",
    "BlockRow",
    "Blocks",
    "Database",
    "FilePart",
    "FileParts",
    "MessageArchive",
    "MessageFilter",
    "Objects",
    "RelayRouteRow",
    "SipPoolMemberRow",
    "SipRouteRow",
    "Subscribers",
    "TcpProfileRow",
    "normal_pattern",
    "relay_routes",
    "sip_pool_members",
    "sip_routes",
    "tcp_profiles",
]
