"""The records as a repository of OAI-PMH 2.0, by oai-repo."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import oai_repo
from lxml import etree
from oai_repo.error import OAIErrorResponse
from oai_repo.exceptions import OAIErrorBadArgument, OAIErrorBadResumptionToken

from cerro_services.registry.records import PAGE, Holdings, Record, utc
from cerro_services.voxml import NAMESPACES, document, root

MANAGED = "ivo_managed"
_FORMATS = {
    "ivo_vor": "http://www.ivoa.net/xml/RegistryInterface/v1.0",
    "oai_dc": "http://www.openarchives.org/OAI/2.0/oai_dc.xsd",
}
_SPACES = {"ivo_vor": NAMESPACES["ri"], "oai_dc": NAMESPACES["oai_dc"]}
_DAY = len("2026-01-01")
# Their children are what the records hold, whose elements have namespaces of their own.
_OPAQUE = frozenset({"metadata", "about", "description", "setDescription"})


class Repository(oai_repo.DataInterface):  # type: ignore[misc]
    """What oai-repo needs to know, for one request.

    Parameters
    ----------
    holdings
        What there is to tell.
    arguments
        Of the request.
    limit
        Records of one answer at most.
    """

    def __init__(self, holdings: Holdings, arguments: Mapping[str, str], limit: int = PAGE) -> None:
        self.limit = limit
        self._holdings = holdings
        self._records = {record.identifier: record for record in holdings.records()}
        self._arguments = arguments

    def get_identify(self) -> oai_repo.Identify:
        """Say who this is, with the registry's own record (RegistryInterfaces 1.1 §4.1)."""
        own = self._records[self._holdings.ivoid("registry")]
        return oai_repo.Identify(
            repository_name=own.title,
            base_url=f"{self._holdings.base}/api/oai",
            admin_email=[self._holdings.settings.contact_email],
            earliest_datestamp=utc(min(r.updated for r in self._records.values())),
            deleted_record="no",
            granularity="YYYY-MM-DDThh:mm:ssZ",
            description=[self._holdings.resource(own)],
        )

    def is_valid_identifier(self, identifier: str) -> bool:
        """Whether there is such a record."""
        return identifier in self._records

    def get_metadata_formats(self, identifier: str | None = None) -> list[Any]:
        """Give the formats, which every record has."""
        del identifier
        return [
            oai_repo.MetadataFormat(name, schema, _SPACES[name])
            for name, schema in _FORMATS.items()
        ]

    def get_record_header(self, identifier: str) -> oai_repo.RecordHeader:
        """Give the header of a record."""
        record = self._records[identifier]
        return oai_repo.RecordHeader(
            identifier=identifier, datestamp=utc(record.updated), setspecs=[MANAGED]
        )

    def get_record_metadata(self, identifier: str, metadataprefix: str) -> etree._Element:
        """Write a record."""
        record: Record = self._records[identifier]
        if metadataprefix == "oai_dc":
            return self._holdings.dublin_core(record)
        return self._holdings.resource(record)

    def get_record_abouts(self, identifier: str) -> list[etree._Element]:
        """Give nothing: there is no more to say of a record."""
        del identifier
        return []

    def list_set_specs(
        self, identifier: str | None = None, cursor: int = 0
    ) -> tuple[list[str], int, None]:
        """Give the one set, which every record belongs to."""
        del identifier, cursor
        return [MANAGED], 1, None

    def get_set(self, setspec: str) -> oai_repo.Set:
        """Describe the set."""
        return oai_repo.Set(setspec, "Records that this registry manages", [])

    def list_identifiers(
        self,
        metadataprefix: str,
        filter_from: datetime | None = None,
        filter_until: datetime | None = None,
        filter_set: str | None = None,
        cursor: int = 0,
    ) -> tuple[list[str], int, str]:
        """Give the records that changed in a time."""
        del metadataprefix
        given = [self._arguments[name] for name in ("from", "until") if name in self._arguments]
        if len({len(text) for text in given}) > 1:
            raise OAIErrorBadArgument("from and until must be equally fine.")
        if filter_from and filter_until and filter_from > filter_until:
            raise OAIErrorBadArgument("from must not be later than until.")
        if filter_until and len(self._arguments.get("until", "")) == _DAY:
            filter_until += timedelta(days=1, seconds=-1)
        found = [
            record.identifier
            for record in self._records.values()
            if filter_from is None or record.updated.replace(microsecond=0) >= filter_from
            if filter_until is None or record.updated.replace(microsecond=0) <= filter_until
            if filter_set in {None, MANAGED}
        ]
        if cursor and cursor >= len(found):
            raise OAIErrorBadResumptionToken("There is nothing after this token.")
        state = " ".join(f"{r.identifier}@{utc(r.updated)}" for r in self._records.values())
        return found[cursor : cursor + self.limit], len(found), state


def answer(holdings: Holdings, arguments: list[tuple[str, str]], limit: int = PAGE) -> bytes:
    """Answer a request of OAI-PMH.

    Parameters
    ----------
    holdings
        What there is to tell.
    arguments
        Names and values, as they were sent.
    limit
        Records of one answer at most.

    Returns
    -------
    bytes
        The document, of an error too.
    """
    given = dict(arguments)
    repository = oai_repo.OAIRepository(Repository(holdings, given, limit))
    wrong: Exception | None = None
    if len(given) < len(arguments):
        wrong = OAIErrorBadArgument("An argument is given more than once.")
    elif given.get("verb") == "ListSets" and "resumptionToken" in given:
        wrong = OAIErrorBadResumptionToken("ListSets gives no tokens.")
    response = (
        repository.process(dict(given)) if wrong is None else OAIErrorResponse(repository, wrong)
    )
    made = _named(response.root())
    request = made.find(f"{{{NAMESPACES['oai']}}}request")
    error = made.find(f"{{{NAMESPACES['oai']}}}error")
    if error is not None and not error.text:
        error.text = "The resumption token is not valid."
    code = None if error is None else error.get("code")
    # The arguments are repeated unless they are what is wrong (OAI-PMH 2.0 §3.2).
    if request is not None and code not in {"badVerb", "badArgument"}:
        for name, value in given.items():
            request.set(name, value)
    return document(made)


def _named(element: etree._Element) -> etree._Element:
    """Put the elements of OAI-PMH into its namespace, under a prefix.

    oai-repo writes them without one below a default namespace, which would swallow the elements of
    VOResource: these have none.
    """
    made = root("oai", str(element.tag))
    made.attrib.update(element.attrib)
    _fill(made, element)
    return made


def _fill(made: etree._Element, element: etree._Element) -> None:
    made.text = element.text
    for child in list(element):
        if element.tag in _OPAQUE:
            made.append(child)
        else:
            named = etree.SubElement(made, f"{{{NAMESPACES['oai']}}}{child.tag}")
            named.attrib.update(child.attrib)
            _fill(named, child)
