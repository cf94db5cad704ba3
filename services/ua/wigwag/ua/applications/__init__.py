"""Applications and their policies."""
