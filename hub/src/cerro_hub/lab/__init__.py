"""What runs inside a user's own server."""
