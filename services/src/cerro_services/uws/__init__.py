"""Jobs that run for long, and the protocol to follow them (UWS 1.1)."""
