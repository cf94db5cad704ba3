"""HTTP to the admin API of nodes under test."""

import httpx

ADMIN = httpx.Client(trust_env=False, timeout=5.0, limits=httpx.Limits(max_keepalive_connections=0))
"""One for all: making one takes 25 ms of CPU, and whoever waits for a node asks often. It keeps no connection, since
the node at its end may be killed and started again."""
