"""Generated protobuf and gRPC code; never edited, ``make proto`` writes it."""
