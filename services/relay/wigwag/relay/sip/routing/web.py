"""The SIP routing table in the admin API, under ``/v1/relay/sip``."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from .pools import MemberState
from .work import RoutingWork, SipPoolView


class SipMemberState(BaseModel):
    """What becomes of a member of a pool."""

    model_config = ConfigDict(extra="forbid")

    uri: str
    state: MemberState


def routing_router(work: RoutingWork) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1/relay/sip", tags=["relay"])

    @router.get("/routes")
    async def routes() -> list[dict[str, Any]]:
        """Rows of the SIP routing table, in the order in which they are tried; what is not set is left out."""
        return work.routes()

    @router.post("/routes/reload")
    async def reload() -> dict[str, int]:
        """Read the SIP routing table and its pools again; on an error the old ones stay."""
        return {"routes": await work.reload()}

    @router.get("/pools")
    async def pools() -> list[SipPoolView]:
        """Pools of next hops, as this pod sees them."""
        return work.pools()

    @router.post("/pools/{pool}/state", status_code=204)
    async def set_state(pool: str, order: SipMemberState) -> None:
        """Take a member of a pool out or back in, at this pod; holds until it is changed again."""
        work.set_state(pool, order.uri, order.state)

    return router
