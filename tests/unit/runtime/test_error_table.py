from http import HTTPStatus

import pytest

from wigwag import errors
from wigwag.runtime.error_table import http_status


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.NotFoundError("x"), HTTPStatus.NOT_FOUND),
        (errors.ConflictError("x"), HTTPStatus.CONFLICT),
        (errors.OverloadedError("x"), HTTPStatus.SERVICE_UNAVAILABLE),
        (errors.RemoteProtocolError("x"), HTTPStatus.BAD_GATEWAY),
        (errors.WigwagError("x"), HTTPStatus.INTERNAL_SERVER_ERROR),
    ],
)
def test_an_error_has_the_status_of_its_class_or_the_nearest_parent(
    error: errors.WigwagError, status: HTTPStatus
) -> None:
    assert http_status(error) is status
