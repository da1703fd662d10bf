"""Uploads by URL, fetched so that nobody reaches through us what they could not reach themselves.

A host is resolved once; every address it has must be public, unless the operator lists the host;
the connection goes to the address that was checked. Redirects are followed by hand, each checked
in the same way. No credential, cookie or proxy is used.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from pathlib import Path
from urllib.parse import urljoin, urlsplit
from weakref import WeakValueDictionary

import httpx
from starlette.concurrency import run_in_threadpool

from cerro_services.uploads.errors import UploadError, UploadTooLargeError
from cerro_services.uploads.model import Upload, UploadLimits

_REDIRECTS = 5
_AT_ONCE = asyncio.Semaphore(8)
_EACH, _PUBLIC = 2, 4
"""Uploads that are fetched at once for one caller, and for all without a token: slow hosts that one
names keep nobody else waiting."""
_shares: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
_PIECE = 1 << 18


async def fetch(name: str, url: str, target: Path, limits: UploadLimits, most: int) -> Upload:
    """Fetch an upload.

    Parameters
    ----------
    name
        Name of the upload.
    url
        Where it is; http or https.
    target
        File to write.
    limits
        Which hosts may be asked, and how long it may take.
    most
        Bytes at most.

    Raises
    ------
    UploadError
        The host may not be asked, does not answer, or has no such file.
    UploadTooLargeError
        It has more bytes than may be.
    """
    share = _shares.get(limits.owner) or asyncio.Semaphore(_EACH if limits.owner else _PUBLIC)
    _shares[limits.owner] = share
    try:
        async with asyncio.timeout(limits.seconds), share, _AT_ONCE:
            return await _followed(name, url, target, limits, most)
    except TimeoutError as error:
        raise UploadError(
            name, f"{_shown(url)} was not fetched within {limits.seconds:g} seconds."
        ) from error
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise UploadError(
            name, f"{_shown(url)} cannot be fetched ({type(error).__name__})."
        ) from error


async def _followed(name: str, url: str, target: Path, limits: UploadLimits, most: int) -> Upload:
    # A client of its own: no cookie, no connection and no credential outlives the request.
    async with httpx.AsyncClient(trust_env=False, timeout=30.0, http2=False) as client:
        for _ in range(_REDIRECTS + 1):
            request = await _request(client, name, url, limits)
            response = await client.send(request, stream=True)
            try:
                if response.has_redirect_location:
                    url = urljoin(url, response.headers["location"])
                    continue
                if response.status_code != 200:
                    raise UploadError(
                        name, f"{_shown(url)} answers with status {response.status_code}."
                    )
                await _write(name, response, target, most)
                kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
                return Upload(name, target, kind, urlsplit(url).path.rpartition("/")[2])
            finally:
                await response.aclose()
    raise UploadError(name, f"{_shown(url)} redirects more than {_REDIRECTS} times.")


async def _request(
    client: httpx.AsyncClient, name: str, url: str, limits: UploadLimits
) -> httpx.Request:
    """Make the request, to an address that is checked."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UploadError(name, f"{_shown(url)} is no address.") from error
    if parts.scheme.lower() not in {"http", "https"} or not parts.hostname:
        raise UploadError(
            name,
            f"{_shown(url)} cannot be fetched: give http:, https:, or param: with a part of the "
            "form.",
        )
    if parts.username is not None or parts.password is not None:
        raise UploadError(name, "the address holds a user name or password; none is forwarded.")
    host = parts.hostname.rstrip(".").lower()
    listed, allowed = _listed(host, port, limits.hosts)
    if not allowed:
        raise UploadError(
            name,
            f"tables are not fetched from {host}. Send the table with the request (param:), or "
            "ask the operator to add the host to upload_hosts.",
        )
    https = parts.scheme.lower() == "https"
    address = await _resolved(name, host, port or (443 if https else 80), listed=listed)
    netloc = f"[{address}]" if ":" in address else address
    pinned = parts._replace(netloc=f"{netloc}:{port}" if port else netloc, fragment="").geturl()
    shown = f"[{host}]" if ":" in host else host
    headers = {
        "Host": f"{shown}:{port}" if port else shown,
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "User-Agent": "Cerro (TAP upload)",
    }
    return client.build_request(
        "GET", pinned, headers=headers, extensions={"sni_hostname": host} if https else {}
    )


def _listed(host: str, port: int | None, hosts: tuple[str, ...]) -> tuple[bool, bool]:
    """Tell whether a host is listed by name, and whether it may be asked at all."""
    shown = f"[{host}]" if ":" in host else host
    for entry in hosts:
        wanted = entry.lower().strip()
        if wanted in {host, shown, f"{shown}:{port}"}:
            return True, True
        if wanted.startswith("*.") and host.endswith(wanted[1:]):
            return False, True
    return False, "*" in hosts


async def _resolved(name: str, host: str, port: int, *, listed: bool) -> str:
    """Give the address to connect to."""
    loop = asyncio.get_running_loop()
    try:
        answers = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UploadError(name, f"there is no host {_shown(host)}.") from error
    found = [str(answer[4][0]) for answer in answers]
    if not listed and not all(map(is_public, found)):
        raise UploadError(
            name,
            f"{_shown(host)} is no public host, so nothing is fetched from it. Send the table with "
            "the request (param:).",
        )
    return found[0]


def is_public(address: str) -> bool:
    """Whether an address belongs to the public internet.

    Parameters
    ----------
    address
        IPv4 or IPv6.
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        # Addresses of version 4 in the dress of version 6.
        for inner in (ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())):
            if inner is not None and not is_public(str(inner)):
                return False
        if ip.is_site_local:
            return False
        if any(ip in network for network in _TRANSLATED):
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    return ip.is_global and not (
        ip.is_multicast or ip.is_reserved or ip.is_loopback or ip.is_link_local or ip.is_unspecified
    )


_TRANSLATED = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "::/96", "::ffff:0:0:0/96")))


async def _write(name: str, response: httpx.Response, target: Path, most: int) -> None:
    length = response.headers.get("content-length", "0")
    if length.isdigit() and int(length) > most:
        raise UploadTooLargeError(name, f"has {int(length):,} bytes; at most {most:,} are read.")
    if response.headers.get("content-encoding", "identity").lower() not in {"identity", ""}:
        raise UploadError(name, "came encoded, though it was asked for as it is.")
    done = 0
    with target.open("wb") as sink:
        async for piece in response.aiter_raw(_PIECE):
            done += len(piece)
            if done > most:
                raise UploadTooLargeError(name, f"has more than {most:,} bytes.")
            await run_in_threadpool(sink.write, piece)


def _shown(text: str) -> str:
    return text if len(text) <= 120 else text[:119] + "…"
