"""SIP at the edge: registrar, proxy, pager mode (RFC 3261)."""
