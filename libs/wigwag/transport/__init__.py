"""asyncio shells around the engines: streams, WebSocket, TLS, TCP connection profiles."""
