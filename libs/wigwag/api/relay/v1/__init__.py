"""Version 1: sessions and drain."""
