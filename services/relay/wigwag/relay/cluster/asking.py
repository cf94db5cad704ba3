"""What operators ask of one pod and all pods have to answer: sessions, wherever their clients are."""

import asyncio
import heapq
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from wigwag.errors import ConflictError, NotFoundError, OverloadedError
from wigwag.relay.selection import Found, SessionFilter, page_of
from wigwag.relay.views import SessionView

if TYPE_CHECKING:
    from .cluster import Cluster


class SessionsHere(Protocol):
    """The sessions of one pod."""

    @property
    def cluster(self) -> "Cluster | None":
        """The other pods, if there can be any."""

    def find_sessions(self, wanted: SessionFilter) -> Found[Any]:
        """The sessions that match."""

    def session(self, session_id: str) -> SessionView:
        """One session; NotFoundError."""

    def end_session(self, session_id: str) -> None:
        """End one session; NotFoundError."""


class PageAsked(msgspec.Struct, tag="page"):
    """A page of the sessions that match."""

    user: str
    realm: str
    state: str
    after: str
    size: int


class SessionAsked(msgspec.Struct, tag="session"):
    """One session."""

    id: str


class EndAsked(msgspec.Struct, tag="end"):
    """That a session be ended."""

    id: str


Question = PageAsked | SessionAsked | EndAsked


class Answer(msgspec.Struct):
    """Sessions found (for an end: those ended)."""

    sessions: list[SessionView] = []
    more: bool = False
    problem: str = ""
    """Why the question could not be answered."""


_questions = msgspec.json.Decoder(Question)
_answers = msgspec.json.Decoder(Answer)


def answer_of(relay: SessionsHere, question: bytes) -> bytes:
    """Return this pod's answer to a question of another."""
    try:
        answer = _answer(relay, _questions.decode(question))
    except NotFoundError:
        answer = Answer()
    except msgspec.DecodeError as error:
        answer = Answer(problem=f"not understood: {error}")
    return msgspec.json.encode(answer)


def _answer(relay: SessionsHere, question: Question) -> Answer:
    match question:
        case PageAsked():
            wanted = SessionFilter(user=question.user, realm=question.realm, state=question.state)
            return Answer(*page_of(relay.find_sessions(wanted), after=question.after, size=question.size))
        case SessionAsked():
            return Answer([relay.session(question.id)])
        case EndAsked():
            found = relay.session(question.id)
            relay.end_session(question.id)
            return Answer([found])


class SessionsEverywhere:
    """The sessions of all pods, as any of them shows them.

    Args:
        relay: The relay of this pod.
    """

    def __init__(self, relay: SessionsHere) -> None:
        self._relay = relay

    async def page(self, wanted: SessionFilter, *, after: str, size: int) -> tuple[list[SessionView], bool]:
        """Return at most ``size`` sessions with ids above ``after``, and whether there are more.

        Raises:
            OverloadedError: A pod that lives does not answer: the page would not be the truth.
        """
        asked = PageAsked(wanted.user, wanted.realm, wanted.state, after, size)
        answers = [_answer(self._relay, asked), *await self._ask_all(asked)]
        page = heapq.nsmallest(size + 1, (view for answer in answers for view in answer.sessions), key=attrgetter("id"))
        return page[:size], len(page) > size or any(answer.more for answer in answers)

    async def session(self, session_id: str) -> SessionView:
        """Return one session.

        Raises:
            NotFoundError: No pod has it.
            OverloadedError: A pod that may have it does not answer.
        """
        return await self._one(SessionAsked(session_id), session_id)

    async def end(self, session_id: str) -> None:
        """End one session; errors as ``session``."""
        await self._one(EndAsked(session_id), session_id)

    async def _one(self, asked: SessionAsked | EndAsked, session_id: str) -> SessionView:
        try:
            return _answer(self._relay, asked).sessions[0]
        except NotFoundError:
            pass
        for answer in await self._ask_all(asked):
            if answer.sessions:
                return answer.sessions[0]
        raise NotFoundError(f"no session {session_id}")

    async def _ask_all(self, asked: Question) -> list[Answer]:
        cluster = self._relay.cluster
        if cluster is None:
            return []
        question = msgspec.json.encode(asked)
        pods = [pod.id for pod in cluster.members.others()]
        found = await asyncio.gather(*(cluster.links.ask(pod, question) for pod in pods), return_exceptions=True)
        return [_checked(pod, answer) for pod, answer in zip(pods, found, strict=True)]


def _checked(pod: str, answer: bytes | BaseException) -> Answer:
    if isinstance(answer, BaseException):
        if isinstance(answer, OverloadedError):
            raise answer
        raise OverloadedError(f"pod {pod}: {answer}") from answer
    try:
        found = _answers.decode(answer)
    except msgspec.DecodeError as error:
        raise ConflictError(f"pod {pod} answers in a form that is not understood: {error}") from error
    if found.problem:
        raise ConflictError(f"pod {pod}: {found.problem}")
    return found
