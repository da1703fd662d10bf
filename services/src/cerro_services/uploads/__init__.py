"""Tables that a request brings along (DALI §3.4.5)."""
