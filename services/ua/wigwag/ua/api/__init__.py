"""The interfaces of applications, thin around the port ``Agent``: gRPC, REST, WebSocket, webhooks, MI."""
