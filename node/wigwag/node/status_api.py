"""The admin API's ``/v1/status``: the status tree and reports of all pods."""

from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel

from wigwag.runtime.status_document import Filter, FoundReport, PodDocument, find_reports, page_after, severity_of
from wigwag.runtime.status_sharing import PodStatus, StatusSharing

LARGEST_PAGE = 1_000


class IdentifierStatus(BaseModel):
    """One identifier."""

    name: str
    ready: bool
    status: int
    """Below 0: not ready; above: ready."""
    details: str
    since: float
    """When the number became what it is, wall clock seconds."""
    reports: int
    """How many there are."""


class GroupStatus(BaseModel):
    """What one component tells."""

    name: str
    ready: bool
    """Whether all its identifiers are."""
    identifiers: list[IdentifierStatus]


class Pod(BaseModel):
    """One pod."""

    pod: str
    own: bool
    """Whether it is the one that answers."""
    age: float
    """Seconds since it said so; 0 for the one that answers."""
    started: float
    groups: list[GroupStatus]


class Status(BaseModel):
    """All pods, the one that answers first."""

    pods: list[Pod]
    problem: str | None
    """Why some may be missing."""


class ReportPage(BaseModel):
    """Reports, oldest first."""

    reports: list[FoundReport]
    next: str | None
    """Value of ``after`` for the next page; null on the last."""
    problem: str | None
    """Why some may be missing."""


def status_router(sharing: StatusSharing) -> APIRouter:
    """Return the routes.

    Args:
        sharing: This pod's status and the others'.
    """
    router = APIRouter(prefix="/v1/status", tags=["status"])

    @router.get("")
    async def status(group: str | None = None, pod: str | None = None) -> Status:
        """Groups and identifiers of all pods, or of one; without their reports."""
        cluster = await sharing.cluster()
        wanted = Filter(group=group)
        pods = [_pod(item, wanted) for item in cluster.pods if pod in (None, item.document.pod)]
        return Status(pods=pods, problem=cluster.problem or None)

    @router.get("/reports")
    async def reports(
        group: str | None = None,
        identifier: str | None = None,
        pod: str | None = None,
        severity: Literal["info", "warning", "error"] | None = None,
        since: float | None = None,
        until: float | None = None,
        limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 100,
        after: str | None = None,
    ) -> ReportPage:
        """Reports by group, severity (at least) and time, oldest first, a page at a time."""
        wanted = Filter(
            pod=pod,
            group=group,
            identifier=identifier,
            severity=severity_of(severity) if severity is not None else None,
            since=since,
            until=until,
        )
        cluster = await sharing.cluster()
        return _page([item.document for item in cluster.pods], wanted, after, limit, cluster.problem)

    return router


def _pod(pod: PodStatus, wanted: Filter) -> Pod:
    document = pod.document
    groups = [
        GroupStatus(
            name=group.name,
            ready=group.aggregate > 0,
            identifiers=[
                IdentifierStatus(
                    name=item.name,
                    ready=item.status > 0,
                    status=item.status,
                    details=item.details,
                    since=item.since,
                    reports=len(item.reports),
                )
                for item in group.identifiers
            ],
        )
        for group in document.groups
        if wanted.takes_group(group)
    ]
    return Pod(pod=document.pod, own=pod.own, age=pod.age, started=document.started, groups=groups)


def _page(documents: list[PodDocument], wanted: Filter, after: str | None, limit: int, problem: str) -> ReportPage:
    try:
        found = page_after(find_reports(documents, wanted), after, limit + 1)
    except ValueError:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "after: no cursor of ours") from None
    page = found[:limit]
    return ReportPage(reports=page, next=page[-1].cursor if len(found) > limit else None, problem=problem or None)
