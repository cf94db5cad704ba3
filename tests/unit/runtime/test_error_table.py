from http import HTTPStatus

import grpc
import pytest

from wigwag import errors
from wigwag.runtime.error_table import GRPC, grpc_status, http_status


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


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.NotFoundError("x"), "NOT_FOUND"),
        (errors.ConflictError("x"), "FAILED_PRECONDITION"),
        (errors.OverloadedError("x"), "RESOURCE_EXHAUSTED"),
        (errors.InvalidRequestError("x"), "INVALID_ARGUMENT"),
        (errors.StoreError("x"), "UNAVAILABLE"),
        (errors.RemoteProtocolError("x"), "INTERNAL"),
        (errors.WigwagError("x"), "INTERNAL"),
    ],
)
def test_an_error_has_a_grpc_status_too(error: errors.WigwagError, status: str) -> None:
    assert grpc_status(error) == status


def test_every_grpc_status_of_the_table_exists() -> None:
    assert set(GRPC.values()) <= set(grpc.StatusCode.__members__)
