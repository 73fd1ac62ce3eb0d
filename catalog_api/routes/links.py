"""`POST /api/links`: an address that opens one file, or one item's map tiles, for a while."""

import time
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from catalog_api.guard import principal_of
from catalog_api.links import FILE, PARAMETER, target_of
from catalog_api.reading import reader_of
from catalog_api.stac_links import root_of
from imagery.errors import Refused
from records.tokens import Leave
from stac.times import rfc3339

router = APIRouter(prefix="/api", tags=["Files"])

WEEK = 7 * 86_400


class LinkRequest(BaseModel):
    """What to open, and for how long."""

    href: str = Field(
        max_length=2000,
        description="Of an asset (`/assets/<sha256>/<name>`) or `/tiles/collections/<id>/items/<id>`; absolute or not.",
    )
    expires_in: int = Field(default=3600, ge=60, le=WEEK, description="Seconds.")


class Link(BaseModel):
    """For tiles, `href` is followed by the rest of the path before the `?`."""

    href: str
    expires: str


@router.post("/links", summary="A signed link to one file or to the map tiles of one item")
def make_link(asked: LinkRequest, request: Request) -> Link:
    """Needs the same leave as reading the thing does, and asks for it again whenever the link is used."""
    parts, root = urlsplit(asked.href), root_of(request)
    own = urlsplit(root)
    if parts.netloc and (parts.scheme, parts.netloc) != (own.scheme, own.netloc):
        raise Refused("another-server", "href: names another server.", "Give the href of an asset of this one.")
    target = target_of(unquote(parts.path).removeprefix(own.path))
    if target is None:
        raise Refused(
            "no-link", "href: nothing that a link can open.", "Give the href of an asset or of an item's tiles."
        )
    reader = reader_of(request)
    if target.purpose == FILE:
        reader.file(target.href, target.subject.split("/")[2])
    else:
        _, _, _, collection, _, item = target.subject.split("/")
        reader.pixels(collection, item)
    expires = int(time.time()) + asked.expires_in
    token = request.app.state.signer.sign(
        Leave(target.purpose, target.subject, principal_of(request.scope).name, expires)
    )
    return Link(href=f"{root}{target.href}?{PARAMETER}={token}", expires=rfc3339(datetime.fromtimestamp(expires, UTC)))
