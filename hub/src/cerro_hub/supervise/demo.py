"""Builds the demo release `sim` by the commands that anybody would use."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cerro_hub.home import Home
from cerro_hub.secrets import write_private
from cerro_hub.supervise.plan import cerro_command

NAME = "sim"
TITLE = "Simulated survey"
DESCRIPTION = (
    "A small simulated field of stars and galaxies in g, r and i, with variable stars, transients "
    "and a moving object, reduced by Cerro's own pipelines."
)
COLLECTION = "reduced"
KINDNESS = 5
"""Niceness of the build: people who are logged in go first."""

Line = Callable[[str, str], None]


@dataclass(frozen=True)
class Step:
    """One command of the build.

    Parameters
    ----------
    name : str
        Short name, by which a finished step is remembered.
    title : str
        What it does, for the person who waits.
    argv : tuple of str
        The command line.
    """

    name: str
    title: str
    argv: tuple[str, ...]


def make_steps(home: Home) -> list[Step]:
    """Return the commands that build and publish the demo release."""
    store = home.releases
    butler = store / NAME / "draft/butler"
    schema = home.run / "demo-schema.yaml"
    jobs = str(os.cpu_count() or 1)
    place = ("--store", str(store))

    def step(name: str, title: str, *arguments: str) -> Step:
        return Step(name, title, cerro_command(*arguments))

    return [
        step("simulate", "simulating the survey", "pipeline", "simulate", str(butler)),
        step(
            "reduce",
            "reducing the exposures",
            *("pipeline", "reduce", str(butler), "--jobs", jobs, "--output", COLLECTION),
        ),
        step(
            "schema",
            "describing the tables",
            *("pipeline", "schema", str(butler), "--name", NAME, "--collection", COLLECTION),
            *("-o", str(schema)),
        ),
        step(
            "create",
            "beginning the release",
            *("release", "create", NAME, "--schema", str(schema), "--title", TITLE),
            *("--description", DESCRIPTION, "--access", "public", *place),
        ),
        step(
            "ingest",
            "writing the catalogues",
            *("release", "ingest", NAME, "--butler", str(butler), "--collection", COLLECTION),
            *place,
        ),
        step("publish", "publishing the release", "release", "publish", NAME, *place),
    ]


class Demo:
    """Builds the demo release unless one is published; goes on where it was stopped.

    Parameters
    ----------
    home : Home
        The platform's folder.
    line : callable
        Called with "demo" and a line for the person at the terminal.
    steps : list of Step, optional
        The commands; those of `make_steps` if not given.
    """

    def __init__(self, home: Home, line: Line, steps: list[Step] | None = None) -> None:
        self._home = home
        self._line = line
        self._steps = make_steps(home) if steps is None else steps
        self._record = home.run / "demo.json"
        self._log = home.log("demo")

    @property
    def published(self) -> bool:
        """Whether the release is there."""
        return (self._home.releases / NAME / "current").exists()

    def build(self, stopping: threading.Event) -> bool:
        """Run the steps that are not done yet.

        A step that was interrupted is run again; if it then fails, the half-built draft is removed
        and everything is built anew, once.

        Parameters
        ----------
        stopping : threading.Event
            When it is set, the build is interrupted.

        Returns
        -------
        bool
            Whether the release is published. If not, the person has been told why.
        """
        if self.published:
            return True
        begun = time.monotonic()
        resumed = bool(self._done() or self._draft.exists())
        self._line("demo", "continuing the release `sim`" if resumed else "building `sim`")
        if not self._done():
            self._clean()
        built = self._run_steps(stopping)
        if not built and resumed and not stopping.is_set():
            self._line("demo", "the half-built draft cannot be continued; building it anew")
            self._clean()
            built = self._run_steps(stopping)
        if built:
            self._line("demo", f"published `sim` in {time.monotonic() - begun:.0f} s")
            self._record.unlink(missing_ok=True)
        elif not stopping.is_set():
            self._line(
                "demo",
                f"failed; the platform runs without `sim`, and the next start tries again. "
                f"See {self._log}",
            )
        return built

    # ---- steps ---------------------------------------------------------------
    def _run_steps(self, stopping: threading.Event) -> bool:
        done = self._done()
        for number, step in enumerate(self._steps, start=1):
            if step.name in done:
                continue
            where = f"({number}/{len(self._steps)})"
            self._line("demo", f"{where} {step.title}")
            begun = time.monotonic()
            if not self._run(step, stopping):
                return False
            self._line("demo", f"{where} done in {time.monotonic() - begun:.0f} s")
            done.append(step.name)
            self._remember(done)
        return True

    def _run(self, step: Step, stopping: threading.Event) -> bool:
        try:
            with self._log.open("a") as log:
                process = subprocess.Popen(
                    step.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    start_new_session=True,
                    env={**os.environ, "PYTHONUNBUFFERED": "1"},
                )
                with contextlib.suppress(OSError):
                    os.setpriority(os.PRIO_PROCESS, process.pid, KINDNESS)
                watcher = threading.Thread(
                    target=_end_when, args=(stopping, process), daemon=True, name="demo-stop"
                )
                watcher.start()
                last = ""
                for raw in process.stdout or ():
                    text = raw.rstrip()
                    # What to type next is for those who type.
                    if text and not text.startswith("Next:"):
                        last = text
                        log.write(text + "\n")
                        self._line("demo", f"  {text}")
                code = process.wait()
        except OSError as error:
            self._line("demo", f"failed: {step.title}: {error.strerror}")
            return False
        if code and not stopping.is_set():
            self._line("demo", f"failed: {step.title} ended with code {code}: {last}")
        return code == 0

    # ---- what is done --------------------------------------------------------
    @property
    def _draft(self) -> Path:
        return self._home.releases / NAME / "draft"

    def _done(self) -> list[str]:
        try:
            record = json.loads(self._record.read_text())
        except (OSError, ValueError):
            return []
        return list(record["done"]) if self._draft.exists() else []

    def _remember(self, done: list[str]) -> None:
        # Where the disk is full, the next start repeats a step.
        with contextlib.suppress(OSError):
            write_private(self._record, json.dumps({"done": done}))

    def _clean(self) -> None:
        self._record.unlink(missing_ok=True)
        shutil.rmtree(self._draft, ignore_errors=True)


def _end_when(stopping: threading.Event, process: subprocess.Popen[str]) -> None:
    """End a step and all that it started when the platform stops."""
    while process.poll() is None:
        if stopping.wait(0.2):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            return
