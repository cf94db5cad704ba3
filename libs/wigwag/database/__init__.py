"""SQL: tables (with OpenSIPS names where it has them), sessions, migrations."""

from .engine import Database
from .profiles import TcpProfileRow, tcp_profiles
from .routes import RelayRouteRow, relay_routes
from .subscribers import Subscribers

__all__ = ["Database", "RelayRouteRow", "Subscribers", "TcpProfileRow", "relay_routes", "tcp_profiles"]
