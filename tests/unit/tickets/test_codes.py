import csv
from importlib import resources
from pathlib import Path

import pytest

from imagery.errors import Refused
from tickets.codes import Matter, load_codes

STANDARD = "GB/T 47678.5-2026"


def test_the_classes_of_our_detectors_have_codes() -> None:
    codes = load_codes()
    found = {name: (matter.code, matter.name_zh) for name, matter in codes.by_class.items()}
    assert found == {
        "spoil_heap": ("06011", "积存垃圾渣土"),
        "construction_material": ("08006", "施工物料乱堆放"),
        "debris": ("08005", "施工废弃料"),
    }
    assert all(matter.name_en for matter in codes.by_class.values())
    assert codes.of_class("roof") is None


def test_shipped_codes_are_those_of_the_source(data: Path) -> None:
    """Nothing was lost or changed when the two columns of ours were added."""
    shipped = resources.files("tickets").joinpath("data")
    with (data / "codes" / "gbt_47678_5_2026_matters.csv").open(encoding="utf-8", newline="") as source:
        rows = list(csv.DictReader(source))
    ours = list(csv.DictReader(shipped.joinpath("gbt_47678_5_2026_matters.csv").read_text("utf-8").splitlines()))
    assert [{name: row[name] for name in rows[0]} for row in ours] == rows
    assert len(load_codes().matters) == len(rows)
    older = "gbt_30428_2_2013_seen.csv"
    assert shipped.joinpath(older).read_bytes() == (data / "codes" / older).read_bytes()


def test_a_city_brings_its_own(tmp_path: Path) -> None:
    own = tmp_path / "codes.csv"
    own.write_text("standard,kind,code,name_zh,class\nDB4201,matter,99001,乱倒渣土,spoil_heap debris\n", "utf-8-sig")
    codes = load_codes(own)
    assert codes.of_class("debris") == Matter("DB4201", "matter", "99001", "乱倒渣土")
    assert codes.of_class("spoil_heap") == codes.of_class("debris")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no column standard, kind, code, name_zh"),
        (b"code,name_zh\n1,x\n", "no column standard, kind"),
        (b"standard,kind,code,name_zh\nS,matter,,x\n", "line 2 has no code"),
        (b"standard,kind,code,name_zh\nS,matter,1,x\nS,matter,1,y\n", "line 3 repeats S matter 1"),
        (b"standard,kind,code,name_zh,class\nS,matter,1,x,a\nS,matter,2,y,a\n", "gives class a a second code"),
        ("standard,kind,code,name_zh\nS,matter,1,渣土\n".encode("gbk"), "is not UTF-8"),
    ],
)
def test_a_bad_file_is_refused_with_what_to_do(tmp_path: Path, content: bytes, words: str) -> None:
    own = tmp_path / "codes.csv"
    own.write_bytes(content)
    with pytest.raises(Refused, match=words) as refused:
        load_codes(own)
    assert refused.value.reason == "bad-codes"
    assert "codes.csv" in refused.value.message
    assert refused.value.remedy


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="FLYONCE_CODES"):
        load_codes(tmp_path / "absent.csv")
