"""The checks: judges that send nothing."""
