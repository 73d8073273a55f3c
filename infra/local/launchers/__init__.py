"""One module per service: how it is configured, started, asked and ended (local-stack.md §4.2)."""
