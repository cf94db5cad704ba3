"""Bindings that tests make up."""

from wigwag.store import Binding


def binding(params: str = "", *, contact: str = "sip:bob@192.0.2.4", key: str = "") -> Binding:
    """Return a binding of a device that says this of itself."""
    return Binding(
        contact=contact,
        key=key or contact,
        call_id="call",
        cseq=1,
        expires_at=1e12,
        q=1000,
        params=params,
        instance="",
        reg_id=0,
        path=(),
        flow=None,
        user_agent="",
    )
