"""Bans in the admin API, under ``/v1/bans``."""

from fastapi import APIRouter

from .bans import BanView
from .protection import Protection


def protection_router(protection: Protection) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1/bans", tags=["bans"])

    @router.get("")
    async def bans() -> list[BanView]:
        """Addresses that this pod lets in no more, the oldest ban first."""
        return protection.bans.views()

    @router.delete("/{address}", status_code=204)
    async def lift(address: str) -> None:
        """Let an address in again; of an IPv6 address its whole /64."""
        protection.lift(address)

    return router
