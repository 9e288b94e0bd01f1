"""Webhooks: sign and send requests. These are the emulator's only outbound connections."""
