"""HTTP: the corridor from bytes to bytes; Starlette lives here, and in the assembly, and nowhere else."""
