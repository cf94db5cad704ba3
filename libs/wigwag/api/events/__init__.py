"""What stands on the bus."""
