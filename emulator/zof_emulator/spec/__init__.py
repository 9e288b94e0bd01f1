"""Reads an OpenAPI document, and compiles its operations and schemas for look-ups; knows no server and no world."""
