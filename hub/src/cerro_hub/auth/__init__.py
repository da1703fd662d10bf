"""Who may log in: embedded accounts or an OpenID provider."""
