"""Sessions of applications: their life, who owns them, and what becomes of them when a pod is lost."""
