"""Two deployments side by side: which rules hold at one of them alone, and where their answers differ."""
