"""Messages that wait for the application's word before their last chunk is answered (RFC 4975 section 7.2).

A 200 to the last chunk tells the sender that the message is in good hands. Where that is so only once the application
has stored it, the application says when.
"""

from dataclasses import dataclass

from .grammar import RequestHead
from .reassembly import Completed
from .session import Session

_MOST_REPETITIONS = 16
"""Requests of one message that wait for the same word; a sender has given the oldest up when there are more."""


@dataclass(frozen=True, slots=True, eq=False)
class UnacceptedMessage:
    """A message that the application was told of."""

    session: Session
    completed: Completed
    requests: list[RequestHead]
    """The chunks that completed it and its repetitions; each waits for an answer."""


class UnacceptedMessages:
    """The messages of one connection that wait."""

    def __init__(self) -> None:
        self._messages: dict[tuple[Session, str], UnacceptedMessage] = {}
        self.octets = 0
        """Octets in the messages that were handed over whole."""

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, session: Session, completed: Completed, request: RequestHead) -> None:
        """Let a message wait, and with it the request that completed it."""
        self._messages[session, completed.message_id] = UnacceptedMessage(session, completed, [request])
        self.octets += completed.octets

    def repeat(self, session: Session, message_id: str, request: RequestHead) -> bool:
        """Let the request that repeated a message wait with it; tells whether the message waits at all."""
        message = self._messages.get((session, message_id))
        if message is None:
            return False
        message.requests.append(request)
        del message.requests[:-_MOST_REPETITIONS]
        return True

    def take(self, session: Session, message_id: str) -> UnacceptedMessage | None:
        """Take out a message because the word has come; None when there is no such, or no longer."""
        message = self._messages.pop((session, message_id), None)
        if message is not None:
            self.octets -= message.completed.octets
        return message

    def end_session(self, session: Session) -> None:
        """Forget what waits in a session: nobody is there to be answered."""
        for owner, message_id in list(self._messages):
            if owner is session:
                self.take(session, message_id)
