"""The response that goes back when every branch of a request has failed (RFC 3261 section 16.7 steps 6 and 7)."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from wigwag.protocols.sip import Response

if TYPE_CHECKING:
    from wigwag.protocols.sip import Request

_CHALLENGES: Final = (("www-authenticate", "WWW-Authenticate"), ("proxy-authenticate", "Proxy-Authenticate"))


def best_of(finals: Iterable[Response]) -> Response:
    """Return the best of final responses, of which there is one at least."""
    return min(finals, key=_rank)


def passed_back(best: Response, finals: Iterable[Response], request: "Request", tag: Callable[[], str]) -> Response:
    """Return what goes back: the best response, with everybody's challenges.

    Args:
        best: The best response.
        finals: Those of all branches.
        request: What they answer, as it came in.
        tag: Makes a To tag.
    """
    if best.status == 503:
        # The next hop is overloaded, not we (section 16.7 step 6).
        return Response.to_request(request, 500, "Server Internal Error", to_tag=tag())
    response = best.copy()
    if not is_own(best, request):
        response.pop_item("via")
    if best.status in (401, 407):
        _add_challenges(response, (other for other in finals if other is not best and other.status in (401, 407)))
    return response


def _add_challenges(response: Response, others: Iterable[Response]) -> None:
    for other in others:
        for name, field in _CHALLENGES:
            for value in other.get_all(name):
                response.append(field, value)


def is_own(response: Response, request: "Request") -> bool:
    """Tell whether a branch's final response was made here: what a target answers has our Via above the request's."""
    if "via" not in response:
        return True
    return "via" in request and response.via.branch == request.via.branch


def _rank(response: Response) -> tuple[int, int]:
    """Order final responses, the best first (section 16.7 step 6)."""
    status = response.status
    if status >= 600:
        return 0, status
    preferred = (401, 407, 415, 420, 484)
    # A 503 says nothing about the user, 408 and 430 that he may be there all the same.
    last = {408: 1, 430: 2, 503: 3}.get(status, 0)
    return 1 + status // 100 + 10 * bool(last), last * 1000 + (0 if status in preferred else status)
