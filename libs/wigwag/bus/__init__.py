"""Messages on their way between services, and events: a port; adapters stand beside it."""
