"""What the VO registry harvests (OAI-PMH)."""
