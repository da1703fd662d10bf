"""Who may read what is stated once, in release.yaml."""

from __future__ import annotations

import pytest

from cerro_services.release import Access, ReleaseError, ReleaseStore

from .conftest import Run  # type: ignore[import-not-found]

RULES = {
    "default": "public",
    "tables": {"DiaSource": ["data-rights"]},
    "datasets": {"raw": ["data-rights", "staff"]},
}


@pytest.mark.req("REL-6")
@pytest.mark.parametrize(
    ("groups", "what", "allowed"),
    [
        ([], {}, True),
        ([], {"table": "Object"}, True),
        ([], {"table": "DiaSource"}, False),
        (["other"], {"table": "DiaSource"}, False),
        (["data-rights", "other"], {"table": "DiaSource"}, True),
        ([], {"dataset_type": "raw"}, False),
        (["staff"], {"dataset_type": "raw"}, True),
        ([], {"dataset_type": "coadd"}, True),
    ],
)
def test_a_rule_of_a_table_or_dataset_type_goes_before_the_default(
    groups: list[str], what: dict[str, str], allowed: bool
) -> None:
    assert Access.from_document(RULES).allows(groups, **what) is allowed


@pytest.mark.req("REL-6")
def test_a_restricted_release_may_have_a_public_table() -> None:
    access = Access.from_document({"default": ["data-rights"], "tables": {"Visit": "public"}})
    assert not access.allows([])
    assert not access.allows([], table="Object")
    assert access.allows([], table="Visit")


@pytest.mark.req("REL-6")
def test_rules_survive_being_written_and_read() -> None:
    access = Access.from_document(RULES)
    assert Access.from_document(access.to_document()).to_document() == access.to_document()


@pytest.mark.req("REL-6")
@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"default": []}, "nobody could read"),
        ({"default": ["public", "staff"]}, "stands alone"),
        ({"table": {}}, "unknown entry table"),
        ({"tables": {"A": 7}}, r"access\.tables\.A"),
    ],
)
def test_a_rule_that_says_nothing_clear_is_refused(document: object, words: str) -> None:
    with pytest.raises(ReleaseError, match=words):
        Access.from_document(document)


@pytest.mark.req("REL-6")
def test_the_command_states_access_and_knows_the_tables(
    run: Run, store: ReleaseStore, schema_file
) -> None:
    schema = schema_file()
    create = (
        "create",
        "survey",
        "--schema",
        schema,
        "--title",
        "S",
        "--access",
        "staff,data-rights",
    )
    slip = run(*create, "--table-access", "Objekt=public", ok=False)
    assert "no table Objekt" in slip.output
    run(*create, "--table-access", "Visit=public", "--dataset-access", "raw=staff")
    access = store.open("survey", "draft").access
    assert access.default == {"staff", "data-rights"}
    assert access.allows([], table="Visit")
    assert not access.allows(["data-rights"], dataset_type="raw")
