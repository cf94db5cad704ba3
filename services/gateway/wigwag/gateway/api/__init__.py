"""The gateway's interfaces for operators: gRPC, REST, MI."""
