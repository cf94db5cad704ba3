"""A request that waits for our response."""

from typing import TYPE_CHECKING

from wigwag.protocols.sip.errors import SipError
from wigwag.protocols.sip.message import Request, Response

from .bodies import Body, with_body

if TYPE_CHECKING:
    from wigwag.protocols.sip.transactions import ServerTransaction

Fields = tuple[tuple[str, str], ...]


class IncomingRequest:
    """A request and its transaction.

    Args:
        server: The transaction.
        request: As it came.
        to_tag: For our responses to one without.
        software: For Server.

    Attributes:
        to_tag: Of our responses.
        answered: Whether it has a final response.
    """

    def __init__(self, server: "ServerTransaction", request: Request, to_tag: str, software: str) -> None:
        self.server = server
        self.request = request
        self.to_tag = to_tag
        self._software = software
        self.answered = False

    @property
    def method(self) -> str:
        """Of the request."""
        return self.request.method

    def response(self, status: int, reason: str, fields: Fields = (), body: Body | None = None) -> Response:
        """Return a response that is not sent; Record-Route is repeated where it makes a dialog (section 12.1.1)."""
        routes = [("Record-Route", route) for route in self.request.get_all("record-route")]
        repeated = tuple(routes) if self.method == "INVITE" and 100 < status < 300 else ()
        return Response.to_request(
            self.request,
            status,
            reason,
            to_tag=self.to_tag,
            fields=(*repeated, *with_body(fields, body), ("Server", self._software)),
            body=b"" if body is None else body.data,
        )

    def respond(self, status: int, reason: str, now: float, fields: Fields = (), body: Body | None = None) -> None:
        """Send a response; one after a final one is dropped."""
        self.answered = self.answered or status >= 200
        self.server.respond(self.response(status, reason, fields, body), now)

    def refuse(self, error: SipError, now: float) -> None:
        """Send the response that an error asks for."""
        self.respond(error.status or 400, error.reason, now, error.headers)
