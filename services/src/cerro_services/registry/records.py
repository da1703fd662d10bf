"""Records of the VO registry (VOResource 1.1, VODataService 1.2, VORegistry 1.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lxml import etree

from cerro_services.cone.documents import add_capability
from cerro_services.config import Settings
from cerro_services.release import Release, Table
from cerro_services.tap.tables import add_schema
from cerro_services.tap.tapschema import Schema
from cerro_services.tap.vosi import TapLimits, add_interface, add_tap, add_vosi
from cerro_services.voxml import add, root

PAGE = 100
"""Records of one answer at most."""
_SHORT = 16
"""Characters of a short name (VOResource 1.1 §3.1)."""


@dataclass(frozen=True)
class Record:
    """One record.

    Parameters
    ----------
    identifier
        Its IVOID.
    title, description
        For people.
    updated
        When it last changed (UTC).
    kind
        Its ``xsi:type``.
    subjects
        What it is about.
    extend
        Adds what its type has beyond every resource.
    """

    identifier: str
    title: str
    description: str
    updated: datetime
    kind: str
    subjects: tuple[str, ...] = ("surveys", "catalogs")
    reference: str = ""
    content: str = "Catalog"
    version: str | None = None
    creator: str | None = None
    source: str | None = None
    served_by: str | None = None
    extend: Callable[[etree._Element], None] = field(default=lambda _made: None)


@dataclass(frozen=True)
class Holdings:
    """What there is to tell a registry of.

    Parameters
    ----------
    settings
        Who publishes it.
    base
        The platform's address.
    started
        When the services began to serve with these settings.
    releases
        The public releases, by name.
    schemas
        What the public may read of them.
    limits
        What the public may use of TAP.
    places
        Where each table with positions has a row, by schema and table.
    """

    settings: Settings
    base: str
    started: datetime
    releases: Mapping[str, Release]
    schemas: Sequence[Schema]
    limits: TapLimits
    places: Mapping[tuple[str, str], tuple[float, float]]

    def records(self) -> Iterator[Record]:
        """Give all records."""
        yield self._registry()
        yield self._authority()
        yield self._organisation()
        yield self._tap()
        for schema in self.schemas:
            yield self._release(schema)
            for table in schema.tables:
                if isinstance(table, Table) and (schema.name, table.name) in self.places:
                    yield self._cone(schema, table)

    def ivoid(self, *path: str) -> str:
        """Give the IVOID of something below the authority."""
        return "/".join((f"ivo://{self.settings.authority}", *path))

    def _registry(self) -> Record:
        def extend(made: etree._Element) -> None:
            standard = {"standardID": "ivo://ivoa.net/std/Registry"}
            capability = add(made, "capability", None, standard, kind="vg:Harvest")
            add_interface(
                capability, f"{self.base}/api/oai", kind="vg:OAIHTTP", use="base", standard="1.0"
            )
            add(capability, "maxRecords", PAGE)
            add(made, "full", "false")
            add(made, "managedAuthority", self.settings.authority)

        return Record(
            self.ivoid("registry"),
            f"{self.settings.publisher}: publishing registry",
            "The records of this platform's releases and services.",
            self.started,
            "vg:Registry",
            ("virtual-observatory",),
            f"{self.base}/api/oai?verb=Identify",
            "Registry",
            extend=extend,
        )

    def _authority(self) -> Record:
        def extend(made: etree._Element) -> None:
            organisation = {"ivo-id": self.ivoid("organisation")}
            add(made, "managingOrg", self.settings.publisher, organisation)

        return Record(
            self.ivoid(),
            f"{self.settings.publisher}: naming authority",
            f"The authority under which {self.settings.publisher} names its resources.",
            self.started,
            "vg:Authority",
            ("virtual-observatory",),
            f"{self.base}/",
            "Other",
            extend=extend,
        )

    def _organisation(self) -> Record:
        return Record(
            self.ivoid("organisation"),
            self.settings.publisher,
            f"{self.settings.publisher} publishes the releases of this platform.",
            self.started,
            "vr:Organisation",
            ("virtual-observatory",),
            f"{self.base}/",
            "Organisation",
        )

    def _tap(self) -> Record:
        url = f"{self.base}/api/tap"

        def extend(made: etree._Element) -> None:
            add_tap(made, url, self.limits)
            add_vosi(made, url, tables=True)
            tables = add(made, "tableset")
            for schema in self.schemas:
                add_schema(tables, schema)

        titles = ", ".join(schema.title or schema.name for schema in self.schemas)
        changed = [release.published for release in self.releases.values()]
        return Record(
            self.ivoid("tap"),
            f"{self.settings.publisher}: TAP",
            f"Queries in ADQL of {titles or 'the releases'}.",
            max([self.started, *changed]),
            "vs:CatalogService",
            reference=url,
            extend=extend,
        )

    def _release(self, schema: Schema) -> Record:
        release = self.releases[schema.name]

        def extend(made: etree._Element) -> None:
            if release.licence:
                add(made, "rights", release.licence)
            # VODataService 1.2 §3.3: served by the TAP service of another record.
            standard = {"standardID": "ivo://ivoa.net/std/TAP#aux"}
            capability = add(made, "capability", None, standard)
            add_interface(capability, f"{self.base}/api/tap", use="base", standard="1.1")
            add_schema(add(made, "tableset"), schema)

        return Record(
            self.ivoid("release", schema.name),
            release.title,
            release.description or release.title,
            release.published,
            "vs:CatalogResource",
            reference=f"{self.base}/",
            version=release.version,
            creator=release.credit,
            source=release.doi,
            served_by=self.ivoid("tap"),
            extend=extend,
        )

    def _cone(self, schema: Schema, table: Table) -> Record:
        release = self.releases[schema.name]
        url = f"{self.base}/api/cone/{schema.name}/{table.name}"

        def extend(made: etree._Element) -> None:
            place = self.places[schema.name, table.name]
            add_capability(made, url, place, self.limits.most_rows)
            add_vosi(made, url, tables=True)
            alone = Schema(schema.name, schema.title, schema.description, None, (table,), ())
            add_schema(add(made, "tableset"), alone)

        return Record(
            self.ivoid("cone", schema.name, table.name),
            f"{release.title}: cone search of {table.name}",
            table.description or f"Rows of {schema.name}.{table.name} in a cone.",
            release.published,
            "vs:CatalogService",
            reference=url,
            version=release.version,
            creator=release.credit,
            extend=extend,
        )

    def resource(self, record: Record) -> etree._Element:
        """Write a record as ``ri:Resource``."""
        made = root("ri", "Resource", "vr", "vs", "vg", "tr", "cs", kind=record.kind)
        made.attrib.update(
            {"created": utc(record.updated), "updated": utc(record.updated), "status": "active"}
        )
        add(made, "title", record.title)
        add(made, "shortName", self.settings.short_name[:_SHORT])
        add(made, "identifier", record.identifier)
        if record.source:
            add(made, "altIdentifier", _doi(record.source))
        self._curation(made, record)
        self._content(made, record)
        record.extend(made)
        return made

    def dublin_core(self, record: Record) -> etree._Element:
        """Write a record as ``oai_dc:dc`` (OAI-PMH 2.0 §3.2)."""
        made = root("oai_dc", "dc", "dc")
        for name, value in (
            ("title", record.title),
            ("creator", record.creator or self.settings.publisher),
            *(("subject", subject) for subject in record.subjects),
            ("description", record.description),
            ("publisher", self.settings.publisher),
            ("date", utc(record.updated)[:10]),
            ("type", record.content),
            ("identifier", record.identifier),
            ("identifier", record.reference),
        ):
            add(made, name, value, prefix="dc")
        return made

    def _curation(self, made: etree._Element, record: Record) -> None:
        settings = self.settings
        curation = add(made, "curation")
        add(curation, "publisher", settings.publisher, {"ivo-id": self.ivoid("organisation")})
        if record.creator:
            add(add(curation, "creator"), "name", record.creator)
        add(curation, "date", utc(record.updated), {"role": "Updated"})
        if record.version:
            add(curation, "version", record.version)
        contact = add(curation, "contact")
        add(contact, "name", settings.contact_name)
        add(contact, "email", settings.contact_email)

    def _content(self, made: etree._Element, record: Record) -> None:
        content = add(made, "content")
        for subject in record.subjects:
            add(content, "subject", subject)
        add(content, "description", record.description)
        add(content, "referenceURL", record.reference)
        add(content, "type", record.content)
        add(content, "contentLevel", "Research")
        if record.served_by:
            relation = add(content, "relationship")
            add(relation, "relationshipType", "IsServedBy")
            service = {"ivo-id": record.served_by}
            add(relation, "relatedResource", f"{self.settings.publisher}: TAP", service)


def utc(when: datetime) -> str:
    """Write a time as registries have it, to the second."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _doi(text: str) -> str:
    return text if ":" in text else f"doi:{text}"
