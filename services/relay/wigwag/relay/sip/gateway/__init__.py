"""What the edge does for the gateway: it knows devices that take no MESSAGE, or no sessions, and leads calls there."""
