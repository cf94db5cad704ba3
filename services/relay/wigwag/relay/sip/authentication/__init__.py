"""Who sent a request: digest, challenges, nonces (RFC 8760)."""
