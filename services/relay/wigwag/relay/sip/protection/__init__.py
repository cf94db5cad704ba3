"""What peers may ask: rates, bans, block lists, overload."""
