"""gRPC over HTTP/2 on asyncio: one small implementation for servers, clients and the proxy between them."""
