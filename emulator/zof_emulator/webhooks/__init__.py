"""Webhooks: signing what is sent, and sending it; the emulator's only outbound connections."""
