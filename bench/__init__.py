"""Benchmarks: the speed and the memory of the emulator, beside a bare ASGI function and other mock servers."""
