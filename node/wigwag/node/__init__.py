"""The executable: the only reader of the environment and the only place that joins services and adapters."""
