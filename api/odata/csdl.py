"""The metadata document, as XML (CSDL 4.0) or JSON, and the service document."""

from __future__ import annotations

from functools import cache
from typing import Any
from xml.etree import ElementTree as ET

import orjson

from api.odata.model import KEY, NAMESPACE, SETS, EntitySet, Field, Navigation

_EDMX = "http://docs.oasis-open.org/odata/ns/edmx"
_EDM = "http://docs.oasis-open.org/odata/ns/edm"


def _facets(one: Field) -> dict[str, str]:
    if one.type == "Decimal":
        return {"Precision": "28", "Scale": "6"}
    return {"Precision": "6"} if one.type == "DateTimeOffset" else {}


@cache
def metadata_xml() -> bytes:
    """CSDL XML."""
    root = ET.Element("edmx:Edmx", {"Version": "4.0", "xmlns:edmx": _EDMX})
    schema = ET.SubElement(ET.SubElement(root, "edmx:DataServices"), "Schema", {"Namespace": NAMESPACE, "xmlns": _EDM})
    for entities in SETS.values():
        _add_type(schema, entities)
    container = ET.SubElement(schema, "EntityContainer", {"Name": "Container"})
    for entities in SETS.values():
        attributes = {"Name": entities.name, "EntityType": f"{NAMESPACE}.{entities.type}"}
        element = ET.SubElement(container, "EntitySet", attributes)
        for way in entities.navigations:
            ET.SubElement(element, "NavigationPropertyBinding", {"Path": way.name, "Target": way.target})
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _add_type(schema: ET.Element, entities: EntitySet) -> None:
    element = ET.SubElement(schema, "EntityType", {"Name": entities.type})
    ET.SubElement(ET.SubElement(element, "Key"), "PropertyRef", {"Name": KEY})
    for one in entities.fields:
        nullable = {} if one.nullable else {"Nullable": "false"}
        ET.SubElement(element, "Property", {"Name": one.name, "Type": f"Edm.{one.type}", **nullable, **_facets(one)})
    for way in entities.navigations:
        _add_way(element, entities, way)


def _add_way(element: ET.Element, entities: EntitySet, way: Navigation) -> None:
    kind = f"{NAMESPACE}.{SETS[way.target].type}"
    attributes = {"Name": way.name, "Type": f"Collection({kind})" if way.many else kind}
    if not way.many and entities.by_name[way.local].nullable is False:
        attributes["Nullable"] = "false"
    if way.partner:
        attributes["Partner"] = way.partner
    found = ET.SubElement(element, "NavigationProperty", attributes)
    if not way.many and way.remote == KEY:
        ET.SubElement(found, "ReferentialConstraint", {"Property": way.local, "ReferencedProperty": way.remote})


@cache
def metadata_json() -> bytes:
    """CSDL JSON, for tools that ask with `$format=json`."""
    types = {entities.type: _json_type(entities) for entities in SETS.values()}
    sets = {
        entities.name: {
            "$Collection": True,
            "$Type": f"{NAMESPACE}.{entities.type}",
            "$NavigationPropertyBinding": {way.name: way.target for way in entities.navigations},
        }
        for entities in SETS.values()
    }
    container = {"$Kind": "EntityContainer", **sets}
    document = {
        "$Version": "4.0",
        "$EntityContainer": f"{NAMESPACE}.Container",
        NAMESPACE: {**types, "Container": container},
    }
    return orjson.dumps(document)


def _json_type(entities: EntitySet) -> dict[str, Any]:
    found: dict[str, Any] = {"$Kind": "EntityType", "$Key": [KEY]}
    for one in entities.fields:
        facets = {f"${name}": int(value) for name, value in _facets(one).items()}
        nullable = {"$Nullable": True} if one.nullable else {}
        kind = {} if one.type == "String" else {"$Type": f"Edm.{one.type}"}
        found[one.name] = {**kind, **nullable, **facets}
    for way in entities.navigations:
        collection = {"$Collection": True} if way.many else {}
        found[way.name] = {
            "$Kind": "NavigationProperty", "$Type": f"{NAMESPACE}.{SETS[way.target].type}", **collection,
        }  # fmt: skip
    return found


def service_document(root: str, context: bool) -> bytes:
    """The sets; `root` is the absolute address of the service."""
    sets = [{"name": name, "kind": "EntitySet", "url": name} for name in SETS]
    head = {"@odata.context": f"{root}/$metadata"} if context else {}
    return orjson.dumps({**head, "value": sets})
