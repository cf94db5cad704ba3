"""The routing table: where requests go."""
