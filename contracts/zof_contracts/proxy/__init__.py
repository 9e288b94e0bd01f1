"""The proxy: forwards traffic byte for byte, and judges each exchange as it passes."""
