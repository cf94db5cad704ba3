"""Version 1: the envelope and its payloads."""
