"""What a job leaves: its result, in parts and cut short, and its files."""

from __future__ import annotations

import pytest
from services.tests.serving import Served
from services.tests.uws.client import Client


@pytest.mark.req("UWS-6")
def test_a_result_is_read_in_parts(anyone: Client) -> None:
    address = anyone.create("SELECT TOP 2000 * FROM sky.Object", PHASE="RUN")
    assert anyone.ended(address) == "COMPLETED"
    result = f"{address}/results/result"
    whole = anyone.get(result)
    assert whole.headers["content-type"] == "application/x-votable+xml;serialization=binary2"
    assert 'filename="result.' in whole.headers["content-disposition"]
    head = anyone.http.head(result)
    assert head.content == b""
    assert int(head.headers["content-length"]) == len(whole.content)
    part = anyone.http.get(result, headers={"Range": "bytes=1000-1999"})
    assert part.status_code == 206
    assert part.content == whole.content[1000:2000]
    rest = anyone.http.get(result, headers={"Range": f"bytes={len(whole.content) - 10}-"})
    assert rest.content == whole.content[-10:]
    beyond = anyone.http.get(result, headers={"Range": f"bytes={len(whole.content)}-"})
    assert beyond.status_code == 416
    anyone.http.delete(address)


@pytest.mark.req("UWS-6")
def test_the_files_of_a_job_go_with_it(anyone: Client, worked: Served) -> None:
    address = anyone.create(PHASE="RUN")
    assert anyone.ended(address) == "COMPLETED"
    identity = address.rsplit("/", 1)[1]
    (folder,) = worked.settings.job_files.glob(f"*/{identity}")
    assert (folder / "result").stat().st_size > 0
    assert folder.stat().st_mode & 0o077 == 0, "nobody else reads what may be restricted"
    anyone.http.delete(address)
    assert not folder.exists()


@pytest.mark.req("UWS-6")
def test_a_result_that_is_cut_says_so_in_a_header(anyone: Client) -> None:
    for maxrec, cut in (("2", "true"), ("9", "false")):
        address = anyone.create(RESPONSEFORMAT="csv", MAXREC=maxrec, PHASE="RUN")
        assert anyone.ended(address) == "COMPLETED"
        head = anyone.http.head(f"{address}/results/result")
        assert head.headers["x-cerro-overflow"] == cut
        anyone.http.delete(address)
