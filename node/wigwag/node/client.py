"""The command's side of the admin API."""

from collections.abc import Iterator
from typing import Any, Self

import httpx

from wigwag.errors import NotAuthorizedError, NotFoundError, ServiceError

from .data_directory import AdminNote
from .settings import Settings

_TIMEOUT = 10.0
_PAGE = 1_000
_LARGE_PAGE = 10_000


class AdminClient:
    """Talks to a running node.

    Args:
        url: Base of its admin API.
        token: Bearer token, if it demands one.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        # A proxy of the environment knows nothing of loopback and must not see the token.
        self._client = httpx.Client(base_url=self.url, headers=headers, timeout=_TIMEOUT, trust_env=False)

    @classmethod
    def of(cls, settings: Settings, *, url: str | None = None, token: str | None = None) -> Self:
        """Return a client for the node with these settings."""
        known = [item.token for item in settings.admin.tokens if item.role == "operate" and item.token is not None]
        known += [item.token for item in settings.admin.tokens if item.token is not None]
        return cls(url or admin_url(settings), token or (known[0] if known and url is None else None))

    def __enter__(self) -> Self:
        """Open."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close."""
        self._client.close()

    def get(self, path: str, **query: Any) -> Any:
        """Return what the node answers.

        Raises:
            ServiceError: It does not answer or refuses; the text says why in one line.
        """
        return self._request("GET", path, query, None)

    def post(self, path: str, body: Any = None, **query: Any) -> Any:
        """Like ``get``, for changes."""
        return self._request("POST", path, query, body)

    def delete(self, path: str) -> None:
        """End what is at ``path``."""
        self._request("DELETE", path, {}, None)

    def sessions(self, user: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield all sessions, a page at a time."""
        after = None
        while True:
            page = self.get("/v1/relay/sessions", limit=_PAGE, after=after, user=user)
            yield from page["sessions"]
            after = page["next"]
            if after is None:
                return

    def registrations(self, prefix: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield all registered users, a page at a time."""
        after = None
        while True:
            page = self.get("/v1/registrations", limit=_LARGE_PAGE, after=after, prefix=prefix)
            yield from page["registrations"]
            after = page["next"]
            if after is None:
                return

    def connections(self) -> Iterator[dict[str, Any]]:
        """Yield all connections, a page at a time."""
        after = 0
        while page := self.get("/v1/relay/connections", limit=_PAGE, after=after):
            yield from page
            after = page[-1]["id"]

    def _request(self, method: str, path: str, query: dict[str, Any], body: Any) -> Any:
        query = {name: value for name, value in query.items() if value is not None}
        try:
            response = self._client.request(method, path, params=query, json=body)
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise ServiceError(
                f"no node answers at {self.url} ({reason}); is it running? start one: wigwag run"
            ) from error
        if response.is_success:
            return response.json() if response.content else None
        raise _refused(response)


def admin_url(settings: Settings) -> str:
    """Return where the settings' node is reached; with port 0 what the running node wrote down."""
    if settings.admin.port == 0:
        note = AdminNote(settings.node.data_dir)
        url = note.url()
        if url is None:
            raise ServiceError(f"no node runs in {settings.node.data_dir} (no {note.path}); start one: wigwag run")
        return url
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.admin.host, settings.admin.host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.admin.port}"


def _refused(response: httpx.Response) -> ServiceError:
    try:
        detail = str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = response.reason_phrase
    if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return NotAuthorizedError(f"the node refuses: {detail}; give a token with --token-file")
    if response.status_code == httpx.codes.NOT_FOUND:
        return NotFoundError(detail)
    return ServiceError(f"the node answers {response.status_code}: {detail}")
