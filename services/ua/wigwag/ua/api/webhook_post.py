"""One call of a webhook: signed, bounded, and never to where a stranger may not lead us.

The signature is HMAC-SHA256 by the webhook's secret over ``timestamp.body``. A receiver computes it again, compares in
constant time, and refuses what is older than five minutes: each try has a new timestamp, a repeated one has not.
"""

import asyncio
import hashlib
import hmac
import socket
from collections.abc import Callable, Sequence
from typing import Final

import httpx

from wigwag.errors import WigwagError
from wigwag.transport.addresses import closed_to_strangers

SIGNATURE: Final = "Wigwag-Signature"
"""``v1=`` and the signature in lower-case hexadecimal."""
TIMESTAMP: Final = "Wigwag-Timestamp"
"""Seconds since 1970, as in what was signed."""
EVENT_ID: Final = "Wigwag-Event-Id"
"""Equal in every try."""
PATIENCE: Final = 10.0
"""Seconds for a whole exchange."""


class PostError(WigwagError):
    """The webhook did not take the event; the text says why.

    Args:
        reason: Why.
        refused: Whether it answered, and said that it does not want the event (4xx).
    """

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.refused = refused


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the value of ``SIGNATURE``."""
    found = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"v1={found.hexdigest()}"


class Poster:
    """Posts to the webhook of one application; ``close`` it.

    Args:
        private: Whether it may be on loopback or a private network, and without TLS.
        wall: Seconds since 1970.
        patience: Seconds for a whole exchange.
    """

    def __init__(self, *, private: bool, wall: Callable[[], float], patience: float = PATIENCE) -> None:
        self._private = private
        self._wall = wall
        self._patience = patience
        self._client = httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=patience)

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def post(self, url: str, secret: str, event_id: str, body: bytes) -> None:
        """Return when the webhook has taken an event.

        Raises:
            PostError: It has not, or it is unknown whether.
        """
        try:
            # httpx's own timeouts are for single steps: who sends a byte a second would pass them all.
            async with asyncio.timeout(self._patience):
                status = await self._exchange(url, secret, event_id, body)
        except TimeoutError as error:
            raise PostError(f"no answer within {self._patience:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise PostError(str(error) or type(error).__name__) from error
        if not 200 <= status <= 299:
            refused = 400 <= status <= 499 and status not in (408, 425, 429)
            raise PostError(f"answered {status}", refused=refused)

    async def _exchange(self, url: str, secret: str, event_id: str, body: bytes) -> int:
        wanted = httpx.URL(url)
        timestamp = str(int(self._wall()))
        headers = {
            "Host": wanted.netloc.decode("ascii"),
            "Content-Type": "application/json",
            "User-Agent": "wigwag",
            EVENT_ID: event_id,
            TIMESTAMP: timestamp,
            SIGNATURE: signature(secret, timestamp, body),
        }
        # Connects to the very address that was looked at; the certificate has to be the name's all the same.
        to = wanted.copy_with(host=await self._address(wanted))
        extensions = {"sni_hostname": wanted.host}
        async with self._client.stream("POST", to, content=body, headers=headers, extensions=extensions) as response:
            return response.status_code

    async def _address(self, url: httpx.URL) -> str:
        if url.scheme not in ("https", "http") or not url.host:
            raise PostError("webhook_url: has to begin with https:// and a host")
        if url.scheme == "http" and not self._private:
            raise PostError("webhook_url: has to begin with https://, unless ua.api.private_webhooks is set")
        port = url.port or (443 if url.scheme == "https" else 80)
        found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
        addresses = [str(each[4][0]) for each in found]
        return self._allowed(addresses)

    def _allowed(self, addresses: Sequence[str]) -> str:
        reason = "has no address"
        for address in addresses:
            closed = None if self._private else closed_to_strangers(address)
            if closed is None:
                return address
            reason = f"leads to an address that is {closed}: see ua.api.private_webhooks"
        raise PostError(f"webhook_url: {reason}")
