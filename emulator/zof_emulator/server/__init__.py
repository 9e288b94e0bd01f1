"""The server: runs uvicorn, handles connections, and writes to the terminal."""
