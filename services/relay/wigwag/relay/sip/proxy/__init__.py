"""Forwarding: branches, forks, record routes (RFC 3261 section 16)."""
