"""The answer to a request that goes no further."""

Refusal = tuple[int, str]
"""MSRP status code and what was wrong."""


class RefusedError(Exception):
    """The AUTH gets this answer.

    Args:
        status: MSRP status code; 0: none, the connection is being closed.
        reason: The comment.
        fields: Further headers.
    """

    def __init__(self, status: int, reason: str, fields: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.fields = fields
