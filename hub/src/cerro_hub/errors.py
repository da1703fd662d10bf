"""What can go wrong in the hub, each with a code and a message for the person who must act."""


class HubError(Exception):
    """Base of the hub's errors.

    Parameters
    ----------
    message : str
        What happened, to what, and what to do about it.
    """

    code = "hub_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class SettingsError(HubError):
    """cerro.yaml or the environment holds something that cannot be used."""

    code = "settings"


class NodeMissingError(HubError):
    """There is no Node that can run the proxy."""

    code = "node_missing"


class ProxyMissingError(HubError):
    """configurable-http-proxy is not installed."""

    code = "proxy_missing"


class PortTakenError(HubError):
    """Another program listens on a port that the platform needs."""

    code = "port_taken"


class DiskFullError(HubError):
    """There is too little room on the disk to work."""

    code = "disk_full"


class AlreadyRunningError(HubError):
    """Another `cerro up` holds the same home."""

    code = "already_running"


class AccountError(HubError):
    """An account does not exist, exists already, or its name or password will not do."""

    code = "account"


class ProviderError(HubError):
    """The login provider does not answer as an OpenID provider does."""

    code = "login_provider"


class HubUnavailableError(HubError):
    """The hub does not answer."""

    code = "hub_unavailable"
