"""Users' servers as processes of this machine."""
