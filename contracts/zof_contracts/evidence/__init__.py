"""The evidence: exchanges, events, findings, the ledger and the finished verification."""
