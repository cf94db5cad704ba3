"""Which sessions a list shows, and the tokens of its pages."""

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Self

from wigwag.api.ua.v1 import session_pb2, ua_pb2
from wigwag.errors import InvalidRequestError

from .record import STATES, SessionRecord


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """What a session has to be like."""

    application: str
    """Empty: any."""
    state: int
    """0: any that has not ended."""
    remote_uri: str
    labels: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, request: ua_pb2.ListSessionsRequest, application: str) -> Self:
        """Return what a request asks for.

        Raises:
            InvalidRequestError: There is no such state.
        """
        if request.state not in session_pb2.SessionState.values():
            raise InvalidRequestError("state: no such state")
        return cls(application, request.state, request.remote_uri, tuple(sorted(request.labels.items())))

    def matches(self, record: SessionRecord) -> bool:
        """Tell whether a session is like that."""
        if self.state == session_pb2.SESSION_STATE_UNSPECIFIED:
            if record.state == "ended":
                return False
        elif STATES[record.state] != self.state:
            return False
        if self.remote_uri and record.remote_uri != self.remote_uri:
            return False
        return all(record.labels.get(name) == value for name, value in self.labels)

    def page_token(self, last: str) -> str:
        """Return the token of the page after a session."""
        return base64.urlsafe_b64encode(f"{self._mark()}{last}".encode()).decode().rstrip("=")

    def after(self, token: str) -> str:
        """Return the id of the last session before a page; empty: it is the first.

        Raises:
            InvalidRequestError: The token is not of a list with this filter.
        """
        if not token:
            return ""
        try:
            text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("ascii")
        except ValueError as error:
            raise InvalidRequestError("page_token: not one of this list") from error
        mark = self._mark()
        if not text.startswith(mark):
            raise InvalidRequestError("page_token: not one of a list with these filters")
        return text[len(mark) :]

    def _mark(self) -> str:
        text = json.dumps([self.application, self.state, self.remote_uri, self.labels])
        return hashlib.blake2s(text.encode(), digest_size=6).hexdigest()
