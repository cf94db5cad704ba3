"""The one table that turns Wigwag's errors into status codes of the protocols it speaks."""

from http import HTTPStatus

from wigwag.errors import (
    BusError,
    ConfigurationError,
    ConflictError,
    DatabaseError,
    NotAuthorizedError,
    NotFoundError,
    OverloadedError,
    ProtocolError,
    StoreError,
    WigwagError,
)

HTTP: dict[type[WigwagError], HTTPStatus] = {
    NotFoundError: HTTPStatus.NOT_FOUND,
    ConflictError: HTTPStatus.CONFLICT,
    OverloadedError: HTTPStatus.SERVICE_UNAVAILABLE,
    NotAuthorizedError: HTTPStatus.FORBIDDEN,
    DatabaseError: HTTPStatus.SERVICE_UNAVAILABLE,
    StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
    BusError: HTTPStatus.SERVICE_UNAVAILABLE,
    ConfigurationError: HTTPStatus.UNPROCESSABLE_ENTITY,
    ProtocolError: HTTPStatus.BAD_GATEWAY,
}


def http_status(error: WigwagError) -> HTTPStatus:
    """Return the HTTP status of an error: its own class's, or its nearest parent's; 500 for anything else."""
    for ancestor in type(error).__mro__:
        if ancestor in HTTP:
            return HTTP[ancestor]
    return HTTPStatus.INTERNAL_SERVER_ERROR
