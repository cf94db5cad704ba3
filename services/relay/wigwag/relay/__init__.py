"""The MSRP relay (RFC 4976)."""
