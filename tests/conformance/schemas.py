"""The IVOA's XML schemas, compiled without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lxml import etree

XS = "{http://www.w3.org/2001/XMLSchema}"
# DaCHS keeps them all; where the IVOA's own file is newer, it goes first.
_FOLDERS = ("ivoa-std", "gavo_dachs")
_FILES = {
    "http://www.ivoa.net/xml/UWS/v1.0": "ivoa-std/UWS.xsd",
    "http://www.ivoa.net/xml/VOTable/v1.3": "ivoa-std/VOTable.xsd",
}


class Schemas:
    """Validates documents by the namespaces that they use.

    Parameters
    ----------
    folder
        ``ivoa_xsd`` of the trial data.
    """

    def __init__(self, folder: Path) -> None:
        self._places: dict[str, Path] = {}
        for path in sorted(folder.glob("gavo_dachs/*.xsd")):
            namespace = etree.parse(path).getroot().get("targetNamespace")
            if namespace and not path.name.startswith(("VOTable-", "SSA-v", "XMLSchema")):
                self._places[namespace] = path
        for namespace, name in _FILES.items():
            self._places[namespace] = folder / name
        self._parser = etree.XMLParser(no_network=True, huge_tree=True)
        self._parser.resolvers.add(_Local(self._places))
        self._compiled: dict[frozenset[str], etree.XMLSchema] = {}

    def complaints(self, document: bytes) -> list[str]:
        """Say where a document breaks the schemas of its namespaces.

        Parameters
        ----------
        document
            The document.

        Raises
        ------
        KeyError
            There is no schema for a namespace that it uses.
        """
        root = etree.fromstring(document, etree.XMLParser(huge_tree=True))
        used = {
            uri
            for element in root.iter("*")
            for uri in {etree.QName(element).namespace, *map(_type_of, [element])}
            if uri
        }
        schema = self._schema(frozenset(used))
        if schema.validate(root):
            return []
        return [f"line {e.line}: {e.message}" for e in schema.error_log][:20]  # type: ignore[attr-defined]

    def _schema(self, namespaces: frozenset[str]) -> etree.XMLSchema:
        if namespaces not in self._compiled:
            wrapper = etree.Element(f"{XS}schema", nsmap={"xs": XS.strip("{}")})
            for namespace in sorted(namespaces):
                location = self._places[namespace].as_uri()
                etree.SubElement(
                    wrapper, f"{XS}import", {"namespace": namespace, "schemaLocation": location}
                )
            text = etree.tostring(wrapper)
            self._compiled[namespaces] = etree.XMLSchema(etree.fromstring(text, self._parser))
        return self._compiled[namespaces]


class _Local(etree.Resolver):
    """Finds schemas of the network by the last part of their address."""

    def __init__(self, places: dict[str, Path]) -> None:
        self._by_name = {path.name: path for path in places.values()}
        self._folder = next(iter(places.values())).parent

    def resolve(self, url: str, public_id: str, context: Any) -> Any:
        name = url.rsplit("/", 1)[-1]
        if url.startswith("file:"):
            return None
        path = self._by_name.get(name) or self._by_name.get(f"{name}.xsd")
        if path is None and "/xml/" in url:
            path = self._by_name.get(url.rstrip("/").rsplit("/", 2)[-2] + ".xsd")
        if path is None and (self._folder / name).is_file():
            path = self._folder / name
        if path is None:
            raise FileNotFoundError(f"no schema for {url}")
        return self.resolve_filename(str(path), context)


def _type_of(element: etree._Element) -> str | None:
    """Give the namespace of an element's ``xsi:type``."""
    kind = element.get("{http://www.w3.org/2001/XMLSchema-instance}type")
    return element.nsmap.get(kind.split(":")[0]) if kind and ":" in kind else None
