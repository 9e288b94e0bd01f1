"""The search: generated requests and stories, and how a finding is checked again and cut down."""
