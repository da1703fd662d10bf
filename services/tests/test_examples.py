"""Examples: made from the tables, or declared by whoever publishes them (DALI 1.1 §2.4)."""

from __future__ import annotations

import base64
import hashlib
import shutil
from pathlib import Path

import httpx
import pytest
import pyvo
from lxml import etree
from tests.support.platform import free_port

from cerro_services.config import Settings
from cerro_services.release import ReleaseError, ReleaseStore
from cerro_services.release.access import Access
from cerro_services.release.description import Description, read_examples

from .serving import Served, running

XHTML = "{http://www.w3.org/1999/xhtml}"


def page(url: str) -> etree._Element:
    answer = httpx.get(f"{url}/api/tap/examples")
    assert answer.headers["content-type"].startswith("application/xhtml+xml")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    root = etree.fromstring(answer.content)
    assert root.find(f".//{XHTML}script") is None
    style = root.findtext(f".//{XHTML}style")
    assert style is not None
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{allowed}'" in policy
    return root


@pytest.mark.req("VO-4")
def test_every_example_gives_rows(served: Served) -> None:
    examples = pyvo.dal.TAPService(served.tap).examples
    queries = [example["QUERY"] for example in examples]
    assert len(queries) >= 4
    for example, query in zip(examples, queries, strict=True):
        assert len(example.execute()) > 0, query
    text = "\n".join(queries)
    assert "CIRCLE(" in text
    assert "GROUP BY" in text
    assert "DISTANCE(" in text
    assert "Secret" not in text


@pytest.mark.req("VO-4")
def test_each_example_has_name_query_and_identity(served: Served) -> None:
    body = page(served.url).find(f"{XHTML}body")
    assert body is not None
    assert body.get("vocab") == "http://www.ivoa.net/rdf/examples#"
    examples = body.findall("*[@typeof='example']")
    assert len(examples) >= 4
    for example in examples:
        assert example.get("resource") == f"#{example.get('id')}"
        assert len(example.findall("*[@property='name']")) == 1
        assert len(example.findall("*[@property='query']")) == 1


@pytest.mark.req("VO-4")
def test_declared_examples_come_first_and_those_that_do_not_fit_are_left_out(
    store: ReleaseStore, tmp_path: Path
) -> None:
    shutil.copytree(store.root, tmp_path / "releases")
    described = next((tmp_path / "releases/sky").glob("versions/*/release.yaml"))
    described.write_text(
        described.read_text() + "examples:\n"
        "- {name: Bright & <big>, query: SELECT TOP 3 objectId FROM sky.Object,"
        " description: 'Of <all> & more'}\n"
        "- {name: Wrong, query: SELECT nothing FROM sky.Object}\n"
    )
    port = free_port()
    settings = Settings(home=tmp_path, releases=tmp_path / "releases", threads=1)
    with running(settings, port):
        body = page(f"http://127.0.0.1:{port}")
    names = [e.text for e in body.iterfind(".//*[@property='name']")]
    assert names[1] == "Bright & <big>"
    assert "Wrong" not in names


@pytest.mark.req("VO-4")
def test_examples_survive_the_description_of_a_release(tmp_path: Path) -> None:
    given = tmp_path / "examples.yaml"
    given.write_text("- {name: A, query: SELECT 1, description: B}\n- {name: C, query: SELECT 2}\n")
    written = tmp_path / "release.yaml"
    written.write_text(Description("a", "A", Access(), examples=read_examples(given)).to_yaml())
    assert Description.read(written).examples == read_examples(given)


@pytest.mark.req("VO-4")
@pytest.mark.parametrize(
    "text", ["a: 1", "- {name: A}", "- {name: A, query: 3}", "- {name: A, query: B, c: D}", "- x"]
)
def test_a_wrong_entry_is_named(tmp_path: Path, text: str) -> None:
    given = tmp_path / "examples.yaml"
    given.write_text(text)
    with pytest.raises(ReleaseError, match=r"examples\.yaml: 'examples' must be a list"):
        read_examples(given)
