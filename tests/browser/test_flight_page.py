"""The saved report on a phone: offline, upright, without scripts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stac.flight_page import page

LONG = "DCIM/" + "很长的航线名称" * 12 + "/" + "A" * 120 + ".JPG"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    files = [
        {
            "file": LONG,
            "size": 4_000_000,
            "state": "quarantined",
            "reason": "truncated",
            "message": f"{LONG}: breaks off.",
        },
        *({"file": f"{n}.JPG", "size": 3_900_000, "state": "accepted", "footprint": "pose"} for n in range(300)),
    ]
    report = {
        "flight": "f",
        "name": "北路 五月 " + "x" * 200,
        "department": "UAV",
        "state": "processed",
        "words": {"zh": "已完成，1 个文件未通过", "en": "complete with 1 refused"},
        "counts": {"missing": 0, "waiting": 0, "accepted": 300, "duplicate": 0, "quarantined": 1},
        "bytes": 1_174_000_000,
        "notes": [],
        "files": files,
    }
    path = tmp_path / "report.html"
    path.write_text(page(report), "utf-8")
    return path


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_it_fits_the_screen_and_asks_nobody(saved: Path, launch: Callable[..., Any], width: int) -> None:
    browser = launch([])
    context = browser.new_context(viewport={"width": width, "height": 800}, java_script_enabled=True, offline=True)
    shown = context.new_page()
    asked: list[str] = []
    shown.on("request", lambda request: asked.append(request.url))
    errors: list[str] = []
    shown.on("console", lambda message: errors.append(message.text))
    shown.goto(saved.as_uri())
    assert asked == [saved.as_uri()]
    assert errors == []
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    assert shown.get_by_text("文件不完整").is_visible()  # what needs a hand is open
    assert not shown.get_by_text("299.JPG", exact=True).is_visible()  # the long list is folded
    shown.locator("details.accepted summary").click()
    assert shown.get_by_text("299.JPG", exact=True).is_visible()
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    context.close()
    browser.close()
