"""What a token may do with the data services, in JupyterHub's terms."""

READ_TAP = "custom:read:tap"

CUSTOM_SCOPES = {
    READ_TAP: {"description": "Query the catalogues (TAP, cone search)"},
    "custom:read:image": {"description": "Read images (SIA, cutouts, HiPS, Butler)"},
    "custom:write:tables": {"description": "Upload and change your own tables"},
    "custom:write:files": {"description": "Write your own files"},
}

LOAD_ROLES = [
    {
        "name": "user",
        "description": "What everybody may do",
        "scopes": ["self", *CUSTOM_SCOPES],
    },
    {
        "name": "server",
        "description": "What the token in a person's own server may do",
        "scopes": ["users:activity!user", "access:servers!server", *CUSTOM_SCOPES],
    },
    {
        "name": "cerro-up",
        "description": "Restores routes, and clears up after accounts that were removed",
        "scopes": ["proxy", "list:users", "read:servers", "delete:servers", "delete:users"],
        "services": ["cerro-up"],
    },
    {
        "name": "culler",
        "description": "Stops idle servers",
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        "services": ["culler"],
    },
]
