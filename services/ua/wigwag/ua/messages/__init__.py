"""Messages of sessions: accepted, delivered, received; the ledger holds what is true of each."""
