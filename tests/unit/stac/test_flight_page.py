"""The report as a page: every file on it, nothing that runs, nothing from elsewhere."""

from html.parser import HTMLParser

import pytest

from stac.flight_page import page, size

HOSTILE = '<script>alert("x")</script>&"\'.JPG'


def report(state="processed", **counts):
    files = [
        {"file": "a.JPG", "size": 4_024_770, "state": "accepted", "footprint": "pose", "notes": ["no attitude"]},
        {
            "file": HOSTILE,
            "size": 0,
            "state": "quarantined",
            "reason": "empty",
            "message": f"{HOSTILE}: is empty (0 bytes).",
        },
        {"file": "gone.JPG", "size": None, "state": "missing", "late": True},
        {"file": "b.JPG", "size": 12, "state": "waiting"},
        {"file": "c.JPG", "size": 12, "state": "duplicate"},
    ]
    return {
        "flight": "f-1",
        "name": HOSTILE,
        "department": "UAV",
        "security": "internal",
        "pilot": "<b>li</b>",
        "state": state,
        "words": {"zh": "已完成，1 个文件未通过", "en": "complete with 1 refused"},
        "counts": {"missing": 1, "waiting": 1, "accepted": 1, "duplicate": 1, "quarantined": 1} | counts,
        "bytes": 4_024_782,
        "notes": ["several-cameras: <i>two</i>"],
        "files": files,
    }


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text, self.addresses = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "action", "srcset")]

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def read():
    reader = Reader()
    reader.feed(page(report()))
    return reader


def test_names_are_text_and_nothing_runs_or_comes_from_elsewhere(read):
    assert not set(read.tags) & {"script", "b>li", "i", "img", "link", "iframe", "object", "form"}
    assert read.addresses == []
    shown = "".join(read.text)
    assert HOSTILE in shown
    assert "<b>li</b>" in shown
    assert "url(" not in page(report())
    assert "http" not in page(report()).replace("http-equiv", "")


def test_every_file_is_there_with_its_reason_in_both_languages(read):
    shown = "".join(read.text)
    for file in report()["files"]:
        assert file["file"] in shown
    for word in (
        "空文件",
        "empty",
        "is empty (0 bytes).",
        "未收到",
        "not received",
        "4.0 MB",
        "姿态 pose",
        "no attitude",
    ):
        assert word in shown
    assert f"{HOSTILE}: is empty" not in shown  # its name stands beside it already


def test_it_says_at_a_glance_whether_somebody_must_act():
    assert 'class="state bad"' in page(report())
    assert 'class="state wait"' in page(report("receiving"))
    assert 'class="state good"' in page(report(quarantined=0, missing=0))


@pytest.mark.parametrize(
    ("count", "told"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (123_456, "123 kB"), (5_000_000_000, "5.0 GB")]
)
def test_sizes(count, told):
    assert size(count) == told
