"""The server: uvicorn, the connection, and what a terminal shows."""
