"""Recorded traffic: exchanges and webhook deliveries that others have sent, read from journals and HAR files."""
