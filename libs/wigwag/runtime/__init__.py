"""What every service stands on: settings helpers, telemetry, logs, error tables."""
