"""Bindings: who is registered, where (RFC 3261 section 10, RFC 5626)."""
