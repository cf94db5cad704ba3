"""Ways to peers: listeners, connections, next hops (RFC 3263, RFC 5626)."""
