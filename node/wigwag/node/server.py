"""The admin API on a socket."""

from collections.abc import Callable
from typing import Any

from wigwag.runtime.http_server import HttpServer, HttpServerOptions

from .settings import AdminSettings


class AdminServer(HttpServer):
    """Serves the admin application.

    Args:
        settings: Where to bind.
        application: The ASGI application.
    """

    def __init__(self, settings: AdminSettings, application: Callable[..., Any]) -> None:
        super().__init__(HttpServerOptions(setting="admin", host=settings.host, port=settings.port), application)
