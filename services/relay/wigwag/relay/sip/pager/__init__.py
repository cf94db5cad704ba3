"""Pager mode: MESSAGEs that are kept for services and absent users, and those that services send (RFC 3428)."""
