"""The one table that turns Wigwag's errors into status codes of the protocols it speaks."""

from http import HTTPStatus
from typing import TypeVar

from wigwag.errors import (
    BusError,
    ConfigurationError,
    ConflictError,
    DatabaseError,
    InvalidRequestError,
    NotAuthenticatedError,
    NotAuthorizedError,
    NotFoundError,
    OutOfRangeError,
    OverloadedError,
    ProtocolError,
    StoreError,
    WigwagError,
)

Status = TypeVar("Status")

HTTP: dict[type[WigwagError], HTTPStatus] = {
    NotFoundError: HTTPStatus.NOT_FOUND,
    ConflictError: HTTPStatus.CONFLICT,
    OverloadedError: HTTPStatus.SERVICE_UNAVAILABLE,
    InvalidRequestError: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotAuthenticatedError: HTTPStatus.UNAUTHORIZED,
    NotAuthorizedError: HTTPStatus.FORBIDDEN,
    OutOfRangeError: HTTPStatus.GONE,
    DatabaseError: HTTPStatus.SERVICE_UNAVAILABLE,
    StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
    BusError: HTTPStatus.SERVICE_UNAVAILABLE,
    ConfigurationError: HTTPStatus.UNPROCESSABLE_ENTITY,
    ProtocolError: HTTPStatus.BAD_GATEWAY,
}


GRPC: dict[type[WigwagError], str] = {
    NotFoundError: "NOT_FOUND",
    ConflictError: "FAILED_PRECONDITION",
    OverloadedError: "RESOURCE_EXHAUSTED",
    InvalidRequestError: "INVALID_ARGUMENT",
    NotAuthenticatedError: "UNAUTHENTICATED",
    NotAuthorizedError: "PERMISSION_DENIED",
    OutOfRangeError: "OUT_OF_RANGE",
    DatabaseError: "UNAVAILABLE",
    StoreError: "UNAVAILABLE",
    BusError: "UNAVAILABLE",
    ConfigurationError: "FAILED_PRECONDITION",
    ProtocolError: "INTERNAL",
}
"""By name, so that who speaks no gRPC need not load it."""


def http_status(error: WigwagError) -> HTTPStatus:
    """Return the HTTP status of an error: its own class's, or its nearest parent's; 500 for anything else."""
    return _nearest(HTTP, error, HTTPStatus.INTERNAL_SERVER_ERROR)


def grpc_status(error: WigwagError) -> str:
    """Return the name of an error's gRPC status: its own class's, or its nearest parent's; INTERNAL for any other."""
    return _nearest(GRPC, error, "INTERNAL")


def named_error(status: str, text: str) -> WigwagError:
    """Return the error that ``grpc_status`` named: of several of one status the first of the table."""
    kind = next((kind for kind, name in GRPC.items() if name == status), WigwagError)
    return kind(text)


def _nearest(table: dict[type[WigwagError], Status], error: WigwagError, otherwise: Status) -> Status:
    return next((table[ancestor] for ancestor in type(error).__mro__ if ancestor in table), otherwise)
