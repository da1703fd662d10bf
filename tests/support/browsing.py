"""A real browser for the tests: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


@contextlib.contextmanager
def browser(*, viewport: dict[str, int] = DESKTOP) -> Iterator[BrowserContext]:
    """Open a browser with an empty profile.

    Playwright lives only inside this block: its event loop would get in the way of other tests'.
    """
    with tempfile.TemporaryDirectory(prefix="cerro-chromium-") as profile, sync_playwright() as pw:
        context = pw.chromium.launch_persistent_context(
            profile,
            executable_path=CHROMIUM,
            headless=True,
            args=FLAGS,
            viewport={"width": viewport["width"], "height": viewport["height"]},
        )
        try:
            yield context
        finally:
            context.close()


def requests_to_other_hosts(context: BrowserContext, host: str) -> list[str]:
    """Collect, from now on, every request of the browser that goes to another host.

    Parameters
    ----------
    context
        The browser.
    host
        Our ``host:port``.
    """
    strangers: list[str] = []

    def note(url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.netloc != host:
            strangers.append(url)

    context.on("request", lambda request: note(request.url))
    return strangers


def screenshot_folder() -> Path:
    """Where the tests leave their screenshots for whoever looks at them."""
    folder = Path(tempfile.gettempdir()) / "cerro-screenshots"
    folder.mkdir(exist_ok=True)
    return folder
