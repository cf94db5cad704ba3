"""A traced SEND: what stands in the route's place in its transaction, so that its outcome ends its span."""

from typing import TYPE_CHECKING

from wigwag.runtime.names import STATUS

if TYPE_CHECKING:
    from wigwag.runtime.tracing import Span

    from .cluster.arrivals import Arrivals
    from .route import Route
    from .transactions import Transaction


class Traced:
    """A route, and the span that ends with the transaction.

    Args:
        route: Where the SEND came from and went.
        span: From its head to its outcome.
    """

    __slots__ = ("route", "span")

    def __init__(self, route: "Route | Arrivals", span: "Span") -> None:
        self.route = route
        self.span = span

    def answered(self, transaction_id: bytes) -> None:
        """It was answered 200."""
        end(self.span, 200)
        if self.route.answered is not None:
            self.route.answered(transaction_id)


def end(span: "Span", status: int, comment: str = "") -> None:
    """End a span with an MSRP status."""
    span.set(STATUS, status)
    span.end(error="" if status == 200 else f"{status} {comment}")


def concluded(transaction: "Transaction", status: int, comment: str) -> "Transaction":
    """End the span of a transaction that has failed, if it has one; returns the transaction without it."""
    traced = transaction[0]
    if not isinstance(traced, Traced):
        return transaction
    end(traced.span, status, comment)
    return (traced.route, *transaction[1:])
