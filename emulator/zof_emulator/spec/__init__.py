"""The spec: reads an OpenAPI document and compiles what the corridor looks up; knows no server and no world."""
