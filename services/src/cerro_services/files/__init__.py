"""Files of releases by signed addresses that expire: whoever has one needs no token."""

from cerro_services.files.router import PREFIX, router
from cerro_services.files.signing import BadSignatureError, FileSigner

__all__ = ["PREFIX", "BadSignatureError", "FileSigner", "router"]
