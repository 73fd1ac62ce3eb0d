"""Assets of items: files of the store, addressed by content."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

MULTIHASH_SHA256 = "1220"
"""Function code 0x12 and length 0x20, before the digest (file extension, `file:checksum`)."""

_STORED = re.compile(r"/assets/([0-9a-f]{64})/[^/\\\x00-\x1f]{1,800}")

COG = "image/tiff; application=geotiff; profile=cloud-optimized"


@dataclass(frozen=True, slots=True)
class Stored:
    """A file in the store, under the name it is handed out with."""

    name: str
    sha256: str
    size: int
    media_type: str

    @property
    def href(self) -> str:
        """As items keep it; responses make it absolute."""
        return f"/assets/{self.sha256}/{quote(self.name)}"


def asset(stored: Stored, title: str, *roles: str, **fields: Any) -> dict[str, Any]:
    """An asset object with the file extension's checksum and size."""
    return {
        "href": stored.href,
        "type": stored.media_type,
        "title": title,
        "roles": list(roles),
        "file:checksum": MULTIHASH_SHA256 + stored.sha256,
        "file:size": stored.size,
        **fields,
    }


def stored_sha256(href: str) -> str | None:
    """The SHA-256 that a stored href names, or None for any other address."""
    found = _STORED.fullmatch(href)
    return found[1] if found else None
