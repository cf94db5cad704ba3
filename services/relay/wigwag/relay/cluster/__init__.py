"""Many pods, one relay: who is there, whose each session is, and the links between pods."""

from .cluster import Cluster
from .links import LinkConnector

__all__ = ["Cluster", "LinkConnector"]
