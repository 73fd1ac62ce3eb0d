"""The OpenAPI document as a page that needs no other server, and as the file that the repository keeps.

`python -m catalog_api.docs > docs/openapi.json` writes the file anew.
"""

import json
import sys
import tempfile
from html import escape
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

router = APIRouter()

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<h1>{title} {version}</h1><p>{description}</p>
<p>The whole description for programs: <a href="../openapi.json">openapi.json</a></p>
<dl>{operations}</dl></html>
"""


@router.get("/docs", name="swagger_ui_html", include_in_schema=False)
def page(request: Request) -> HTMLResponse:
    """Every address with what it answers. (The name is the one that stac-fastapi links to.)"""
    document = request.app.openapi()
    operations = "".join(
        f"<dt><code>{method.upper()} {escape(path)}</code></dt><dd>{escape(operation.get('summary', ''))}</dd>"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    info = {key: escape(value) for key, value in document["info"].items()}
    return HTMLResponse(_PAGE.format(**info, operations=operations))


def document() -> dict[str, Any]:
    """The OpenAPI document of the application, whatever home it serves."""
    from catalog_api.app import create_app
    from records.settings import Settings

    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Settings(home=Path(folder), database_url="", api_key=None))
        found: dict[str, Any] = app.openapi()
        app.state.home.close()
    return found


def text() -> str:
    return json.dumps(document(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
