"""The build of the demo release: its steps, its failures, and how it goes on."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest
from tests.support.waiting import eventually

from cerro_hub.home import Home
from cerro_hub.supervise.demo import Demo, Step, make_steps


class Build:
    """A build whose steps are small programs that write into the release's draft."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder)
        self.home.make()
        self.lines: list[str] = []
        self.release = self.home.releases / "sim"
        self.stopping = threading.Event()

    def step(self, name: str, program: str) -> Step:
        start = "import pathlib, sys, time; release = pathlib.Path(sys.argv[1]); "
        return Step(
            name, f"doing {name}", (sys.executable, "-c", start + program, str(self.release))
        )

    def run(self, *steps: Step) -> bool:
        demo = Demo(self.home, lambda _name, text: self.lines.append(text), list(steps))
        return demo.build(self.stopping)

    @property
    def told(self) -> str:
        return "\n".join(self.lines)


MAKE = "(release / 'draft').mkdir(parents=True); print('made 3 visits (1/1)', file=sys.stderr)"
PUBLISH = "(release / 'current').write_text('1')"


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    monkeypatch.delenv("CERRO_RELEASES", raising=False)
    return Build(tmp_path / "home")


@pytest.mark.req("HUB-1")
def test_the_steps_progress_is_passed_on_until_the_release_is_published(build: Build) -> None:
    assert build.run(build.step("make", MAKE), build.step("publish", PUBLISH))
    assert "(1/2) doing make" in build.told
    assert "made 3 visits (1/1)" in build.told
    assert "published `sim` in" in build.told


@pytest.mark.req("HUB-1")
def test_a_published_release_is_left_alone(build: Build) -> None:
    build.run(build.step("make", MAKE), build.step("publish", PUBLISH))
    assert build.run(build.step("make", "sys.exit('never')"))


@pytest.mark.req("HUB-1")
def test_a_failure_is_told_with_the_commands_own_words(build: Build) -> None:
    assert not build.run(build.step("make", MAKE), build.step("reduce", "sys.exit('no space')"))
    assert "doing reduce ended with code 1: no space" in build.told
    assert "the platform runs without `sim`" in build.told


@pytest.mark.req("HUB-1")
def test_the_next_start_goes_on_where_the_last_one_failed(build: Build) -> None:
    make, publish = build.step("make", MAKE), build.step("publish", PUBLISH)
    build.run(make, build.step("reduce", "sys.exit(1)"), publish)
    build.lines.clear()
    assert build.run(make, build.step("reduce", "pass"), publish)
    assert "doing make" not in build.told
    assert "continuing" in build.told


@pytest.mark.req("HUB-1")
def test_what_cannot_be_continued_is_built_anew_once(build: Build) -> None:
    half = (
        "half = release / 'draft/half'; sys.exit('in the way') if half.exists() else half.touch()"
    )
    make, publish = build.step("make", MAKE), build.step("publish", PUBLISH)
    build.run(make, build.step("reduce", half + "; sys.exit(1)"), publish)
    assert build.run(make, build.step("reduce", half), publish)
    assert "building it anew" in build.told


@pytest.mark.req("HUB-1")
def test_stopping_the_platform_ends_the_step_and_its_children(build: Build) -> None:
    program = (
        "import subprocess; (release / 'draft').mkdir(parents=True); "
        "child = subprocess.Popen(['sleep', '600']); "
        "(release / 'draft/pid').write_text(str(child.pid)); child.wait()"
    )
    thread = threading.Thread(target=build.run, args=(build.step("make", program),))
    thread.start()
    pid_file = build.release / "draft/pid"
    eventually(lambda: pid_file.exists() and pid_file.read_text(), "the step runs")
    build.stopping.set()
    thread.join(20)
    assert not thread.is_alive()
    eventually(lambda: not _runs(int(pid_file.read_text())), "its child has ended")
    assert "failed" not in build.told


def _runs(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


@pytest.mark.req("HUB-1")
def test_the_real_steps_are_the_documented_commands(build: Build) -> None:
    commands = [step.argv[3:] for step in make_steps(build.home)]
    assert [command[:2] for command in commands] == [
        ("pipeline", "simulate"),
        ("pipeline", "reduce"),
        ("pipeline", "schema"),
        ("release", "create"),
        ("release", "ingest"),
        ("release", "publish"),
    ]
    assert os.fspath(build.release / "draft/butler") in commands[0]
