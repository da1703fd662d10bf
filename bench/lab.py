"""How long a person waits for JupyterLab: from the click on "Start my server" until it can be used.

A real platform, a real browser, ten starts. The stages of each start are taken from the browser:
the click, the page that shows the progress, the hub's word that the server is ready, the arrival of
JupyterLab's page, and the moment its launcher can be clicked.
"""

from __future__ import annotations

import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import time

from tests.support.platform import free_port
from tests.support.waiting import eventually

STARTS = 10
PASSWORD = "bench-correct-horse"  # noqa: S105 - of an account that lives as long as the bench


def run(workdir: pathlib.Path, starts: int = STARTS) -> dict[str, float | str]:
    """Measure the start of JupyterLab.

    Parameters
    ----------
    workdir : pathlib.Path
        An empty folder for the platform.
    starts : int
        How many starts to measure.

    Returns
    -------
    dict
        Medians of the whole and of its stages, the slowest start, and the start of the platform.
    """
    home = workdir / "home"
    port = free_port()
    log = workdir / "up.log"
    env = {**os.environ, "CERRO_HOME": str(home), "CERRO_ADMIN_PASSWORD": PASSWORD}
    command = [sys.executable, "-m", "cerro.cli.main", "up", "--port", str(port)]
    figures: dict[str, float | str] = {}
    for name in ("first", "second"):
        begun = time.monotonic()
        with log.open("w") as out:
            platform = subprocess.Popen(command, env=env, stdout=out, stderr=out)
        try:
            _wait_for(log, platform)
            figures[f"{name} start of the platform [s]"] = time.monotonic() - begun
            if name == "second":
                figures |= _measure(f"http://127.0.0.1:{port}", starts)
        finally:
            platform.send_signal(signal.SIGTERM)
            platform.wait(60)
    return figures


def _measure(address: str, starts: int) -> dict[str, float | str]:
    from playwright.sync_api import sync_playwright

    stages: dict[str, list[float]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CERRO_CHROMIUM", "/usr/bin/chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"{address}/hub/login")
        page.fill("#username_input", "admin")
        page.fill("#password_input", PASSWORD)
        begun = time.monotonic()
        page.click("#login_submit")
        page.wait_for_selector("#start")
        login = time.monotonic() - begun
        for _ in range(starts):
            marks = _one_start(page, address)
            for name, seconds in marks.items():
                stages.setdefault(name, []).append(seconds)
        browser.close()
    figures: dict[str, float | str] = {"login [s]": login, "starts": float(starts)}
    whole = stages.pop("whole")
    figures["click to usable JupyterLab, median [s]"] = statistics.median(whole)
    figures["click to usable JupyterLab, slowest [s]"] = max(whole)
    figures |= {f"of which {name}, median [s]": statistics.median(v) for name, v in stages.items()}
    return figures


def _one_start(page: object, address: str) -> dict[str, float]:
    """Start the server once, note the stages, and stop it again."""
    from playwright.sync_api import Page

    assert isinstance(page, Page)
    page.goto(f"{address}/hub/home")
    begun = time.monotonic()
    page.click("#start")
    page.wait_for_url(re.compile(r"/hub/spawn-pending/"), wait_until="commit")
    pending = time.monotonic()
    page.wait_for_url(re.compile(r"/user/[^/]+/lab"), wait_until="commit")
    answered = time.monotonic()
    page.wait_for_selector(".jp-LauncherCard", state="visible", timeout=60_000)
    usable = time.monotonic()
    page.goto(f"{address}/hub/home")
    page.click("#stop")
    page.wait_for_selector("text=Start my server")
    return {
        "whole": usable - begun,
        "hub, until the progress page": pending - begun,
        "server, until JupyterLab's page comes": answered - pending,
        "browser, until the launcher is there": usable - answered,
    }


def _wait_for(log: pathlib.Path, process: subprocess.Popen[bytes]) -> None:
    def ready() -> bool:
        assert process.poll() is None, f"The platform did not start:\n{log.read_text()}"
        return "Cerro is ready at" in log.read_text()

    eventually(ready, "the platform is ready", 120)
