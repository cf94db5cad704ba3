"""How logs of the code under test look in the test's own process."""

import structlog


def reset_logs() -> None:
    """Log as structlog does by default, but with plain tracebacks: one with all locals takes half a second."""
    structlog.reset_defaults()
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])
