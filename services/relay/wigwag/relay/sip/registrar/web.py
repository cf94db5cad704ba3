"""Registrations in the admin API, under ``/v1/registrations``."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from .registered_users import LARGEST_PAGE, RegisteredUsers, RegistrationView, view


class RegistrationPage(BaseModel):
    """Users in the order of their AORs, and where the next page begins."""

    registrations: list[RegistrationView]
    next: str | None
    """Value of ``after`` for the next page; null on the last."""


def registration_router(users: RegisteredUsers) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1/registrations", tags=["registrations"])

    @router.get("")
    async def registrations(
        limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 1000,
        after: str | None = None,
        prefix: str | None = None,
    ) -> RegistrationPage:
        """Registered users of all pods, or those whose AOR begins with ``prefix``."""
        page, more = await users.page(prefix=prefix or "", after=after or "", size=limit)
        return RegistrationPage(registrations=page, next=page[-1].aor if more else None)

    @router.get("/{user}")
    async def registration(user: str) -> RegistrationView:
        """One user (``name@domain`` or AOR) with his contacts."""
        return view(await users.show(user))

    @router.delete("/{user}", status_code=204)
    async def remove(user: str, contact: Annotated[list[str] | None, Query()] = None) -> None:
        """Remove a user's contacts, or those of these URIs or keys; a client that still is there registers again."""
        await users.remove(user, contact)

    return router
