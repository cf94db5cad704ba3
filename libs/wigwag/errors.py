"""The root of every error that Wigwag raises on purpose.

::

    WigwagError
    ├── ProtocolError
    │   ├── LocalProtocolError      we were about to break the specification: a bug of ours
    │   └── RemoteProtocolError     the peer broke it: normal weather; carries ``status`` for the wire
    ├── DatabaseError               SQL could not be reached or refused
    ├── StoreError                  the shared store could not be reached in time
    ├── BusError                    the bus could not take or give messages
    ├── ConfigurationError          a setting is wrong; names the setting
    └── ServiceError
        ├── NotFoundError
        ├── ConflictError
        ├── OverloadedError
        ├── InvalidRequestError
        ├── OutOfRangeError
        ├── NotAuthenticatedError
        └── NotAuthorizedError
"""


class WigwagError(Exception):
    """Anything that Wigwag raises on purpose."""


class ProtocolError(WigwagError):
    """A protocol's specification was or would be broken."""


class LocalProtocolError(ProtocolError):
    """This side was about to break the specification: a bug of ours, never the peer's."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the specification or a limit.

    Args:
        reason: What was wrong and where, fit for a log line and for the response's comment.
        status: The protocol's own status code for the answer, such as 400 in MSRP; None when no answer is
            possible and the connection has to be closed.
    """

    def __init__(self, reason: str, *, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class DatabaseError(WigwagError):
    """The SQL database could not be reached or refused the operation."""


class StoreError(WigwagError):
    """The shared store could not be reached, or not in time."""


class BusError(WigwagError):
    """The bus could not take or give messages."""


class ConfigurationError(WigwagError):
    """A setting is missing, unknown or wrong; the text names it."""


class ServiceError(WigwagError):
    """A use case could not be carried out."""


class NotFoundError(ServiceError):
    """What was asked for does not exist."""


class ConflictError(ServiceError):
    """What was asked for contradicts what is there."""


class OverloadedError(ServiceError):
    """A limit is reached; the same request may work later."""


class InvalidRequestError(ServiceError):
    """What was asked for makes no sense, whatever the state; the text names the field."""


class NotAuthorizedError(ServiceError):
    """The caller may not do this."""


class NotAuthenticatedError(ServiceError):
    """Nobody knows the caller: he shows nothing, or nothing that holds."""


class OutOfRangeError(ServiceError):
    """What was asked for is kept no more."""
