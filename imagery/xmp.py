"""XMP packets: every simple property by its namespace and name, not yet believed in anything.

Names are `prefix:Name` with the prefix that the namespace is known by (`drone-dji:GimbalYawDegree`), whatever prefix
the file chose; a field of a structure is `prefix:Struct/Name`, an array is its values with commas between.
"""

from io import BytesIO
from typing import Any
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import iterparse

MOST_BYTES = 4 << 20
MOST_PROPERTIES, DEEPEST = 20_000, 40
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
PREFIXES = {
    "http://www.dji.com/drone-dji/1.0": "drone-dji",
    "http://www.parrot.com/drone-parrot/1.0": "drone-parrot",
    "https://www.skydio.com/drone-skydio/1.0": "drone-skydio",
    "http://pix4d.com/camera/1.0": "Camera",
    "http://ns.sensefly.com/Camera/1.0": "Camera",
    "http://micasense.com/MicaSense/1.0": "MicaSense",
    "http://ns.flir.com/xmp/1.0": "FLIR",
    "http://ns.adobe.com/xap/1.0": "xmp",
    "http://ns.adobe.com/tiff/1.0": "tiff",
    "http://ns.adobe.com/exif/1.0": "exif",
}
"""Namespace without its last slash → the name it goes by. Of other namespaces the file's own prefix is taken."""


def parse_xmp(packet: bytes) -> dict[str, str]:
    """The properties of a packet, the first of each name.

    Raises ParseError or ValueError where it is no XML or too large, DefusedXmlException where it declares entities.
    """
    if len(packet) > MOST_BYTES:
        raise ValueError(f"an XMP packet of {len(packet)} bytes")
    prefixes: dict[str, str] = {}
    root: Element | None = None
    depth = 0
    for event, value in iterparse(BytesIO(packet.rstrip(b"\0 ")), events=("start-ns", "start", "end")):
        if event == "start-ns":
            prefix, uri = value
            prefixes.setdefault(uri.rstrip("/"), prefix)
        elif event == "start":
            root = value if root is None else root
            depth += 1
            if depth > DEEPEST:
                raise ValueError("an XMP packet of too many levels")
        else:
            depth -= 1
    found: dict[str, str] = {}
    if root is not None:
        _collect(root, "", prefixes | PREFIXES, found)
    return found


def _collect(node: Element, path: str, prefixes: dict[str, str], into: dict[str, str]) -> None:
    for name, value in node.attrib.items():
        if not name.startswith(f"{{{RDF}}}"):
            _keep(path + _name(name, prefixes, bool(path)), value, into)
    for child in node:
        if child.tag.startswith(f"{{{RDF}}}"):
            if child.tag.endswith(("Seq", "Bag", "Alt")):
                _keep(path.rstrip("/"), ",".join((part.text or "").strip() for part in child), into)
            else:
                _collect(child, path, prefixes, into)
            continue
        name = path + _name(child.tag, prefixes, bool(path))
        if len(child) or any(not key.startswith(f"{{{RDF}}}") for key in child.attrib):
            _collect(child, f"{name}/", prefixes, into)
        else:
            _keep(name, child.text or "", into)


def _name(tag: str, prefixes: dict[str, str], inner: bool) -> str:
    """`prefix:Name`; the bare name inside a structure."""
    uri, _, local = tag[1:].partition("}") if tag.startswith("{") else ("", "", tag)
    prefix = prefixes.get(uri.rstrip("/"), "")
    return local if inner or not prefix else f"{prefix}:{local}"


def _keep(name: str, value: Any, into: dict[str, str]) -> None:
    if len(into) < MOST_PROPERTIES and name:
        into.setdefault(name, str(value).strip())
