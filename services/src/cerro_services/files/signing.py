"""Signs addresses of files, and checks signatures (HMAC-SHA256, RFC 2104)."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from pathlib import Path
from urllib.parse import quote

from cerro_services.config import Settings
from cerro_services.errors import CerroError
from cerro_services.release import Release

PREFIX = "/api/files"
SECONDS = 3600
"""How long an address is good by default."""
_KEY = 32


class BadSignatureError(CerroError, code="bad_signature", status=403):
    """An address that was changed, or that has expired."""


class FileSigner:
    """Signs addresses of files with a key that all processes of the platform share.

    Parameters
    ----------
    settings
        Where the key is; without one it is made.
    """

    def __init__(self, settings: Settings) -> None:
        self._base = settings.base_url + PREFIX
        self._key = settings.file_key.encode() or _shared(settings.home / "services" / "files.key")

    def address(self, release: Release, place: str, seconds: int = SECONDS) -> str:
        """Give an address that opens a file without a token.

        Parameters
        ----------
        release
            Its release.
        place
            The file below the version's folder.
        seconds
            How long it is good.
        """
        return self.of(release.name, release.version, place, seconds)

    def of(self, name: str, version: str, place: str, seconds: int = SECONDS) -> str:
        """Give the address of a file by the name and version of its release."""
        expires = int(time.time()) + seconds
        signature = self._signature(name, version, place, expires)
        path = quote(f"{name}/{version}/{place}")
        return f"{self._base}/{path}?expires={expires}&signature={signature}"

    def check(self, name: str, version: str, place: str, expires: str, signature: str) -> None:
        """Refuse what was not signed here, or was and has expired.

        Raises
        ------
        BadSignatureError
            It is so.
        """
        until = int(expires) if expires.isascii() and expires.isdigit() and len(expires) < 16 else 0
        right = self._signature(name, version, place, until)
        if not hmac.compare_digest(right.encode(), signature.encode()):
            raise BadSignatureError(
                "This address of a file is not as it was given. Take the link anew from DataLink "
                "or the Butler, and do not change it."
            )
        if until < time.time():
            raise BadSignatureError(
                "This address of a file has expired. Take the link anew from DataLink or the "
                "Butler."
            )

    def _signature(self, name: str, version: str, place: str, expires: int) -> str:
        said = "\0".join((name, version, place, str(expires)))
        return hmac.new(self._key, said.encode(), hashlib.sha256).hexdigest()


def _shared(path: Path) -> bytes:
    """Read the key, or make it; of processes that begin at once, one makes it for all."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, secrets.token_bytes(_KEY))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        # Unlike a rename, a link replaces nothing.
        os.link(made, path)
    except FileExistsError:
        pass
    finally:
        made.unlink()
    return path.read_bytes()
