"""What a contract says about its methods: whether a call changes anything, and whether it may be sent twice.

Both are the standard option ``idempotency_level``. A method that says nothing is taken to change something, each time.
"""

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.descriptor_pool import Default


def changes_nothing(path: str) -> bool:
    """Tell whether the method at ``/package.Service/Method`` only looks; gRPC's own services all do."""
    if path.startswith("/grpc."):
        return True
    method = _method(path)
    return method is not None and _level(method) == MethodOptions.NO_SIDE_EFFECTS


def may_be_repeated(method: MethodDescriptor) -> bool:
    """Tell whether a call that may have been carried out already can be sent again."""
    return _level(method) in (MethodOptions.NO_SIDE_EFFECTS, MethodOptions.IDEMPOTENT)


def _method(path: str) -> MethodDescriptor | None:
    service, _, name = path.removeprefix("/").partition("/")
    try:
        return Default().FindMethodByName(f"{service}.{name}")
    except KeyError:
        return None


def _level(method: MethodDescriptor) -> int:
    options: MethodOptions = method.GetOptions()
    return options.idempotency_level
