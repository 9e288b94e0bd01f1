"""Reads OpenAPI documents, and compiles their operations and schemas. It does not depend on the server or the world."""
