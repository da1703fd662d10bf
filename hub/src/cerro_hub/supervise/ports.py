"""Ports: finds free ones, and says who holds one that is not."""

from __future__ import annotations

import random
import socket
from collections.abc import Collection

import psutil

from cerro_hub.errors import PortTakenError

INNER = range(20_000, 32_000)
"""Where inner ports are chosen: below the ports that outgoing connections use."""


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(taken: Collection[int] = ()) -> int:
    """Return a free inner port that is not one of `taken`.

    Raises
    ------
    PortTakenError
        None was found.
    """
    for port in random.sample(INNER, 200):
        if port not in taken and is_free(port):
            return port
    raise PortTakenError(f"No free port between {INNER.start} and {INNER.stop} on 127.0.0.1.")


def holder(port: int) -> str:
    """Say which process listens on a port, as far as this account may know."""
    try:
        for connection in psutil.net_connections("tcp"):
            here = connection.laddr
            if connection.status == psutil.CONN_LISTEN and here and here.port == port:
                if connection.pid:
                    return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
                break
    except psutil.Error:
        pass
    return "another program"


def check_front_door(host: str, port: int) -> None:
    """Check that the front door can listen.

    Raises
    ------
    PortTakenError
        Someone else does, or this account may not.
    """
    if is_free(port, host):
        return
    if port < 1024:
        raise PortTakenError(
            f"Port {port} is taken, or this account may not use it. Choose one above 1023: "
            "cerro up --port 8000"
        )
    raise PortTakenError(
        f"Port {port} on {host} is taken by {holder(port)}. Stop that, or choose another port: "
        f"cerro up --port {port + 1}"
    )
