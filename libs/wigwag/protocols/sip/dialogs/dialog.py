"""Dialogs: what two user agents remember of each other, and the requests within (RFC 3261 section 12)."""

from dataclasses import replace
from typing import Final, Self

from wigwag.errors import LocalProtocolError
from wigwag.protocols.sip.errors import SipError
from wigwag.protocols.sip.message import Request, Response
from wigwag.protocols.sip.uri import SipUri, parse_uri
from wigwag.protocols.sip.values import NameAddress, parse_name_address

from .bodies import Body, with_body
from .state import CSEQ_JUMP, DialogState

DialogId = tuple[str, str, str]
"""Call-ID, our tag, the peer's tag."""
LONGEST_ROUTE_SET: Final = 32
"""Elements of the longest Record-Route that a dialog is made of."""
_TARGET_REFRESH: Final = frozenset(("INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"))
_LARGEST_CSEQ: Final = (1 << 31) - 1


class Dialog:
    """One dialog, early or confirmed; whether it goes on is its usage's business.

    Args:
        state: What is known.

    Attributes:
        local_cseq: Of our last request.
        remote_cseq: Of the peer's last request; None: there was none.
        remote_target: Where requests go.
        route_set: By which way.
    """

    def __init__(self, state: DialogState) -> None:
        self._made = state
        self.local_cseq = state.local_cseq
        self.remote_cseq = state.remote_cseq
        self.remote_target = state.remote_target
        self.local_target = state.local_target
        self.route_set = state.route_set

    @classmethod
    def of_response(cls, request: Request, response: Response, local_target: str) -> Self:
        """Return what a 101 to 299 response to an INVITE of ours makes (section 12.1.2).

        Raises:
            SipError: Its Record-Route or Contact is malformed.
        """
        return cls(
            DialogState(
                call_id=request.call_id,
                local_tag=request.from_.tag or "",
                remote_tag=response.to.tag or "",
                local_address=_address(request.from_),
                remote_address=_address(response.to),
                local_target=local_target,
                remote_target=_target(response) or request.uri,
                route_set=_route_set(response)[::-1],
                secure=request.uri.lower().startswith("sips:"),
                caller=True,
                local_cseq=request.cseq.number,
                remote_cseq=None,
                update_allowed=allows_update(response),
            )
        )

    @classmethod
    def of_request(cls, request: Request, local_tag: str, local_target: str) -> Self:
        """Return what our response to an INVITE makes (section 12.1.1).

        Raises:
            SipError: Its Record-Route or Contact is malformed, or it has no Contact.
        """
        target = _target(request)
        if target is None:
            raise SipError("INVITE has no Contact")
        return cls(
            DialogState(
                call_id=request.call_id,
                local_tag=local_tag,
                remote_tag=request.from_.tag or "",
                local_address=_address(request.to),
                remote_address=_address(request.from_),
                local_target=local_target,
                remote_target=target,
                route_set=_route_set(request),
                secure=request.uri.lower().startswith("sips:"),
                caller=False,
                local_cseq=0,
                remote_cseq=request.cseq.number,
                update_allowed=allows_update(request),
            )
        )

    @classmethod
    def restored(cls, state: DialogState) -> Self:
        """Return a dialog as it was stored, its CSeq so far ahead that no number is used twice."""
        return cls(replace(state, local_cseq=state.local_cseq + CSEQ_JUMP))

    @property
    def id(self) -> DialogId:
        """By what messages are matched."""
        return self._made.call_id, self._made.local_tag, self._made.remote_tag

    @property
    def caller(self) -> bool:
        """Whether its INVITE was ours."""
        return self._made.caller

    @property
    def secure(self) -> bool:
        """Whether its INVITE was for a sips URI."""
        return self._made.secure

    @property
    def remote_address(self) -> str:
        """Who the peer is, without its tag."""
        return self._made.remote_address

    @property
    def update_allowed(self) -> bool:
        """Whether the peer takes UPDATE."""
        return self._made.update_allowed

    def to_state(self, *, session_expires: int = 0, refresher: bool = False, description: str = "") -> DialogState:
        """Return what is known now, and what the session adds to it."""
        return replace(
            self._made,
            local_cseq=self.local_cseq,
            remote_cseq=self.remote_cseq,
            remote_target=self.remote_target,
            local_target=self.local_target,
            route_set=self.route_set,
            session_expires=session_expires,
            refresher=refresher,
            description=description,
        )

    # What comes

    def confirm(self, success: Response) -> None:
        """Take the route set anew from the 2xx that confirms an early dialog (section 13.2.2.4).

        Raises:
            SipError: Its Record-Route or Contact is malformed.
        """
        self.route_set = _route_set(success)[::-1]
        self.refresh_target(success)
        self._made = replace(self._made, update_allowed=allows_update(success) or self.update_allowed)

    def refresh_target(self, message: Request | Response) -> None:
        """Take the peer's new Contact, if there is one (section 12.2).

        Raises:
            SipError: It is malformed.
        """
        self.remote_target = _target(message) or self.remote_target

    def check_order(self, request: Request) -> None:
        """Note a request's CSeq (section 12.2.2).

        Raises:
            SipError: 500: it is lower than that of a request before.
        """
        number = request.cseq.number
        if self.remote_cseq is not None and number < self.remote_cseq:
            raise SipError("CSeq is out of order", status=500)
        self.remote_cseq = number

    # What goes

    def next_cseq(self) -> int:
        """Return the number of our next request; LocalProtocolError after 2**31 - 1 of them."""
        if self.local_cseq >= _LARGEST_CSEQ:
            raise LocalProtocolError("a dialog has run out of CSeq numbers")
        self.local_cseq += 1
        return self.local_cseq

    def request(
        self, method: str, fields: tuple[tuple[str, str], ...] = (), body: Body | None = None, cseq: int | None = None
    ) -> Request:
        """Return a request within the dialog that has no Via yet (section 12.2.1.1).

        Args:
            method: Of the request.
            fields: More header fields.
            body: What it carries.
            cseq: Its number; None: the next one.
        """
        uri, routes = self._path()
        number = self.next_cseq() if cseq is None else cseq
        made = [("Max-Forwards", "70"), *[("Route", route) for route in routes]]
        made += [("From", _tagged(self._made.local_address, self._made.local_tag))]
        made += [("To", _tagged(self._made.remote_address, self._made.remote_tag))]
        made += [("Call-ID", self._made.call_id), ("CSeq", f"{number} {method}")]
        if method in _TARGET_REFRESH:
            made.append(("Contact", f"<{self.local_target}>"))
        return Request.create(method, uri, (*made, *with_body(fields, body)), b"" if body is None else body.data)

    def _path(self) -> tuple[str, tuple[str, ...]]:
        """Return Request-URI and Route."""
        if not self.route_set:
            return self.remote_target, ()
        first = parse_uri(parse_name_address(self.route_set[0], "Route").uri)
        if not isinstance(first, SipUri) or first.parameter("lr") is not None:
            return self.remote_target, self.route_set
        # A strict router: it expects itself in the Request-URI, and puts the last Route there.
        bare = replace(first.without("method"), headers="")
        return str(bare), (*self.route_set[1:], f"<{self.remote_target}>")


def allows_update(message: Request | Response) -> bool:
    """Tell whether the sender of a message takes UPDATE (RFC 3311 section 4)."""
    try:
        return "UPDATE" in [method.upper() for method in message.items("allow")]
    except SipError:
        return False


def _target(message: Request | Response) -> str | None:
    contacts = message.addresses("contact") if "contact" in message else []
    if not contacts:
        return None
    uri = parse_uri(contacts[0].uri)
    # Section 19.1.1, table 1: a Request-URI has no header fields.
    return str(replace(uri, headers="")) if isinstance(uri, SipUri) and uri.headers else contacts[0].uri


def _route_set(message: Request | Response) -> tuple[str, ...]:
    routes = message.addresses("record-route")
    if len(routes) > LONGEST_ROUTE_SET:
        raise SipError("Record-Route is too long")
    for route in routes:
        parse_uri(route.uri)
    return tuple(map(str, routes))


def _address(address: NameAddress) -> str:
    parameters = {name: value for name, value in address.parameters.items() if name != "tag"}
    return str(NameAddress(address.display_name, address.uri, parameters))


def _tagged(address: str, tag: str) -> str:
    return f"{address};tag={tag}" if tag else address
