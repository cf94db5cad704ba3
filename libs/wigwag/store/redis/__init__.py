"""The store that pods share: a Redis server or a Redis Cluster."""

from .store import RedisStore

__all__ = ["RedisStore"]
