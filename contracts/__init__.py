"""The contract harness."""
