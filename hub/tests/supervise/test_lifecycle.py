"""`cerro up` from start to stop, with the real processes."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from hub.tests.support import ADMIN_PASSWORD, Person, Platform, running
from tests.support.waiting import eventually

OTHERS = ["services", "portal"]
"""What a test leaves out that is about the hub and people's servers."""


@pytest.fixture(scope="module")
def watched(place: Path) -> Iterator[Platform]:
    """A platform whose processes these tests kill."""
    with running(place / "watched") as platform:
        yield platform


@pytest.fixture(scope="module")
def worker(watched: Platform) -> Person:
    """A person whose server runs while the platform's processes die."""
    person = Person(watched.address)
    person.login("admin", ADMIN_PASSWORD)
    person.start_server()
    return person


def _answers(person: Person) -> bool:
    """Whether the person's own server answers through the front door."""
    try:
        return person.http.get("user/admin/api/status").status_code == 200
    except httpx.TransportError:
        return False


def _comes_back(platform: Platform, name: str, old: int) -> bool:
    state = platform.states()[name]
    return state["status"] == "up" and state["pid"] != old


@pytest.mark.req("HUB-1")
@pytest.mark.parametrize(
    ("name", "sig"),
    [
        *(
            (name, signal.SIGKILL)
            for name in ("proxy", "hub", "services", "worker", "portal", "culler")
        ),
        # The gentle signal, at which a process might clean up what others still need.
        ("proxy", signal.SIGTERM),
        ("hub", signal.SIGTERM),
    ],
)
def test_a_process_that_dies_comes_back_and_people_go_on(
    watched: Platform, worker: Person, name: str, sig: signal.Signals
) -> None:
    eventually(lambda: _answers(worker), "the server answers before")
    server = worker.server()
    old = watched.pid(name)
    os.kill(old, sig)
    eventually(lambda: _comes_back(watched, name, old), f"{name} is up again")
    eventually(lambda: _answers(worker), f"the server answers after {name} has died")
    assert worker.server()["started"] == server["started"], "it is the same server as before"


@pytest.mark.req("HUB-1")
def test_routes_are_back_as_soon_as_the_front_door_is(watched: Platform, worker: Person) -> None:
    eventually(lambda: _answers(worker), "the server answers before")
    old = watched.pid("proxy")
    os.kill(old, signal.SIGKILL)
    eventually(lambda: _comes_back(watched, "proxy", old), "the front door is up again")
    assert _answers(worker), "no wait beyond the front door's own start"


@pytest.mark.req("HUB-7")
def test_a_second_start_beside_the_first_is_one_clear_line(watched: Platform) -> None:
    second = watched.run("up", "--port", str(watched.port))
    assert second.returncode == 1
    assert second.stdout == ""
    assert watched.process
    lines = second.stderr.strip().splitlines()
    assert len(lines) == 1
    assert f"already running at {watched.address} (pid {watched.process.pid}" in lines[0]


@pytest.mark.req("HUB-1")
def test_status_shows_every_process(watched: Platform) -> None:
    table = watched.run("status")
    assert table.returncode == 0
    assert "proxy" in table.stdout
    answer = json.loads(watched.run("status", "--json").stdout)
    assert answer["address"] == watched.address
    for row in answer["processes"]:
        assert row["status"] == "up"
        assert psutil.pid_exists(row["pid"])


@pytest.mark.req("HUB-9")
def test_nothing_listens_beyond_the_loopback_interface(watched: Platform) -> None:
    listening = [
        connection
        for process in watched.processes()
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert {c.laddr.port for c in listening} >= {watched.port}
    assert {c.laddr.ip for c in listening} <= {"127.0.0.1", "::1"}


@pytest.mark.req("HUB-9")
def test_the_front_door_alone_listens_where_it_is_told_to(place: Path) -> None:
    others = ["hub", "services", "portal", "culler"]
    address = ["--host", "127.0.0.2"]
    with running(place / "opened", options=address, without=others) as platform:
        front_door = psutil.Process(platform.pid("proxy")).net_connections("tcp")
        listening = {c.laddr.ip: c.laddr.port for c in front_door if c.status == "LISTEN"}
        assert listening.pop("127.0.0.2") == platform.port
        assert list(listening) == ["127.0.0.1"], "its own API stays inside"


@pytest.mark.req("HUB-1")
def test_a_killed_supervisor_leaves_people_alone_and_the_next_one_takes_over(place: Path) -> None:
    with running(place / "adopted", without=OTHERS) as platform:
        person = Person(platform.address)
        person.login("admin", ADMIN_PASSWORD)
        person.start_server()
        before = {name: state["pid"] for name, state in platform.states().items()}
        assert platform.process
        platform.process.kill()
        platform.process.wait()
        assert _answers(person), "people go on"
        assert "unwatched" in platform.run("status").stdout
        platform.start()
        after = {name: state["pid"] for name, state in platform.states().items()}
        assert after == before
        assert _answers(person)
        platform.stop()
        assert platform.processes() == []


@pytest.mark.req("HUB-1")
def test_down_stops_what_a_killed_supervisor_left(place: Path) -> None:
    with running(place / "left", without=OTHERS) as platform:
        assert platform.process
        platform.process.kill()
        platform.process.wait()
        answer = platform.run("down")
        assert answer.returncode == 0, answer.stderr
        assert platform.processes() == []
        assert "Nothing runs" in platform.run("down").stdout


@pytest.mark.req("HUB-1")
def test_ctrl_c_stops_everything_with_peoples_servers_and_kernels(place: Path) -> None:
    with running(place / "stopped", without=OTHERS) as platform:
        person = Person(platform.address)
        person.login("admin", ADMIN_PASSWORD)
        person.start_server()
        token = person.token("inherit")
        kernel = httpx.post(
            f"{platform.address}user/admin/api/kernels",
            headers={"Authorization": f"token {token}"},
            json={"name": "python3"},
            timeout=30,
        )
        assert kernel.status_code == 201, kernel.text
        eventually(
            lambda: any("ipykernel_launcher" in p.cmdline() for p in platform.processes()),
            "the kernel runs",
        )
        assert platform.process
        platform.process.send_signal(signal.SIGINT)
        assert platform.process.wait(30) == 0
        assert platform.processes() == []
        assert not (platform.home / "run/state.json").exists()


@pytest.mark.req("HUB-7")
def test_a_taken_port_is_said_with_who_holds_it_and_what_to_do(place: Path) -> None:
    platform = Platform(place / "taken")
    with socket.socket() as other:
        other.bind(("127.0.0.1", platform.port))
        other.listen()
        code = platform.begin().process.wait(60)  # type: ignore[union-attr]
    assert code == 1
    error = [line for line in platform.output.splitlines() if line.startswith("Error")]
    assert len(error) == 1
    assert f"Port {platform.port} on 127.0.0.1 is taken by" in error[0]
    assert f"pid {os.getpid()}" in error[0]
    assert "--port" in error[0]
    assert "Traceback" not in platform.output


@pytest.mark.req("HUB-7")
def test_a_missing_front_door_is_said_with_what_to_do(place: Path) -> None:
    platform = Platform(place / "no-proxy", env={"CERRO_PROXY_DIR": "/nonexistent", "PATH": "/"})
    assert platform.begin().process.wait(60) == 1  # type: ignore[union-attr]
    assert "make setup" in platform.output
    assert "Traceback" not in platform.output


@pytest.mark.req("HUB-7")
def test_a_wrong_setting_is_said_with_its_file(place: Path) -> None:
    home = place / "wrong"
    home.mkdir()
    (home / "cerro.yaml").write_text("hub:\n  prot: 8000\n")
    platform = Platform(home)
    assert platform.begin().process.wait(60) == 1  # type: ignore[union-attr]
    assert "cerro.yaml): prot:" in platform.output
