"""One folder of an object store that speaks S3, through obstore.

Where it is and who asks is told by the environment, as boto3 and lsst.resources are told:
``S3_ENDPOINT_URL`` or ``AWS_ENDPOINT_URL``, ``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY``,
``AWS_PROFILE``, ``AWS_REGION``, web identity, a container's or a machine's role. What the store
answers is never told on: its errors quote who asked.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

DIGEST = "cerro-sha256"
"""In the metadata of an object: its checksum."""
_SCHEME = "s3://"
_CONNECT, _ANSWER, _GIVE_UP = "5s", "30s", timedelta(seconds=10)
_RETRIES = 2
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,40})</Code>")


class BucketError(OSError):
    """An object store did not do what it was asked for."""


class MissingError(BucketError):
    """There is no such object."""


class ReplacedError(BucketError):
    """An object is not the one that was published."""


@dataclass(frozen=True)
class Entry:
    """An object.

    Parameters
    ----------
    key
        Its name below the folder.
    size
        In bytes.
    etag
        What the store knows its content by.
    digest
        Its SHA-256, where it is known.
    """

    key: str
    size: int
    etag: str
    digest: str = ""


class Bucket:
    """One folder of an object store.

    Parameters
    ----------
    url
        ``s3://bucket`` or ``s3://bucket/prefix``.

    Raises
    ------
    ValueError
        The address is none of a bucket.
    """

    def __init__(self, url: str) -> None:
        parts = check_url(url)
        self.url = url.rstrip("/")
        self._store = _connect(parts.netloc, parts.path.strip("/"))

    def get(self, key: str) -> bytes | None:
        """Read a small object whole; None if there is none."""
        import obstore

        try:
            with self._told(key):
                return bytes(obstore.get(self._store, key).bytes())
        except MissingError:
            return None

    def read(self, key: str, begin: int, end: int, etag: str) -> tuple[bytes, str]:
        """Read a part of an object.

        Parameters
        ----------
        key
            The object.
        begin, end
            Half-open range of bytes.
        etag
            What it must still be.

        Returns
        -------
        bytes and str
            The part, and the checksum of the whole object if it is known, else nothing.

        Raises
        ------
        ReplacedError
            The object has changed.
        """
        import obstore

        with self._told(key):
            options: Any = {"range": (begin, end)} | ({"if_match": etag} if etag else {})
            found = obstore.get(self._store, key, options=options)
            data = bytes(found.bytes())
        if len(data) != end - begin:
            raise ReplacedError(f"{self.url}/{key} is shorter than it was.")
        return data, str(found.attributes.get(DIGEST, ""))

    def head(self, key: str) -> Entry | None:
        """Describe an object; None if there is none."""
        import obstore

        try:
            with self._told(key):
                found = obstore.get(self._store, key, options={"head": True})
        except MissingError:
            return None
        digest = str(found.attributes.get(DIGEST, ""))
        return Entry(key, found.meta["size"], found.meta["e_tag"] or "", digest)

    def pieces(self, key: str) -> Iterator[bytes]:
        """Read an object piece by piece."""
        import obstore

        with self._told(key):
            for piece in obstore.get(self._store, key).stream(8 << 20):
                yield bytes(piece)

    def entries(self, prefix: str) -> dict[str, Entry]:
        """List the objects below a folder, by name."""
        import obstore

        with self._told(prefix):
            listed = [one for page in obstore.list(self._store, prefix=prefix) for one in page]
        return {m["path"]: Entry(m["path"], m["size"], m["e_tag"] or "") for m in listed}

    def folders(self, prefix: str = "") -> list[str]:
        """List the folders in a folder."""
        import obstore

        with self._told(prefix):
            found = obstore.list_with_delimiter(self._store, prefix=prefix or None)
        return sorted(str(path).rsplit("/", 1)[-1] for path in found["common_prefixes"])

    def put(self, key: str, content: Path | bytes, digest: str) -> None:
        """Write an object; large ones in parts.

        Parameters
        ----------
        key
            The object.
        content
            A file, or what is to be in the object.
        digest
            The checksum of that.
        """
        import obstore

        with self._told(key):
            obstore.put(self._store, key, content, attributes={DIGEST: digest})

    @contextmanager
    def _told(self, key: str) -> Iterator[None]:
        """Tell the failures of the store in our own words."""
        from obstore import exceptions

        place = f"{self.url}/{key}" if key else self.url
        try:
            yield
        except (exceptions.NotFoundError, FileNotFoundError) as error:
            if _code(error) == "NoSuchBucket":
                raise BucketError(f"{self.url}: there is no such bucket.") from None
            raise MissingError(f"{place} is not there.") from None
        except exceptions.PreconditionError:
            raise ReplacedError(f"{place} has been replaced.") from None
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError):
            raise BucketError(f"{place}: access is refused. Check the credentials.") from None
        except (exceptions.BaseError, OSError) as error:
            if isinstance(error, BucketError):
                raise
            raise BucketError(f"{place}: {_why(error)}") from None


def check_url(url: str) -> SplitResult:
    """Take the address of a bucket apart.

    Raises
    ------
    ValueError
        It is none. The message does not repeat it, as it may hold a password.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if "@" in url:
        raise ValueError("credentials are told by the environment, not by s3://…@…")
    if not is_bucket(url) or not parts.netloc or parts.query or parts.fragment:
        raise ValueError("write the address of a bucket as s3://bucket/prefix")
    return parts


def is_bucket(place: str) -> bool:
    """Whether a place is named as a bucket is."""
    return place.startswith(_SCHEME)


def _connect(bucket: str, prefix: str) -> Any:
    from obstore.store import S3Store

    named = ("S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    endpoint = next((os.environ[name] for name in named if os.environ.get(name)), None)
    more: dict[str, Any] = {}
    if endpoint:
        more["endpoint"] = endpoint
    if _has_files():
        from obstore.auth.boto3 import Boto3CredentialProvider

        more["credential_provider"] = Boto3CredentialProvider()
    return S3Store(
        bucket,
        prefix=prefix or None,
        client_options={
            "allow_http": bool(endpoint and endpoint.startswith("http://")),
            "connect_timeout": _CONNECT,
            "timeout": _ANSWER,
        },
        retry_config={"max_retries": _RETRIES, "retry_timeout": _GIVE_UP},
        # The store compares what it received.
        checksum_algorithm="SHA256",
        **more,
    )


def _has_files() -> bool:
    """Whether credentials are told by files, which obstore leaves to boto3."""
    told = os.environ
    if told.get("AWS_ACCESS_KEY_ID") or told.get("AWS_SKIP_SIGNATURE"):
        return False
    file = Path(told.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")).expanduser()
    return bool(told.get("AWS_PROFILE")) or file.is_file()


def _code(error: BaseException) -> str:
    found = _CODE.search(str(error))
    return found[1] if found else ""


def _why(error: BaseException) -> str:
    """Say why the store failed, and nothing that it said itself but a code."""
    text = str(error)
    status, code = _STATUS.search(text), _code(error)
    if code == "NoSuchBucket":
        return "there is no such bucket."
    if status:
        told = f"{status[1]}, {code}" if code else status[1]
        return f"the object store answers with an error ({told})."
    if "imed out" in text or "timeout" in text.lower().split("retry_timeout")[0]:
        return "the object store does not answer in time."
    return "the object store cannot be reached."
