"""Names that senders give are labels: whatever they hold, what is kept of them is plain and leads nowhere."""

import re
import unicodedata
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagery.errors import Refused
from stac.assets import Stored, stored_sha256
from stac.flight_values import MOST_NAME, Announced, Plan, cameras_note, distinct, file_name, flight_id

HOSTILE = {
    "../../etc/passwd": "etc/passwd",
    "..\\..\\windows\\system32\\x.JPG": "windows/system32/x.JPG",
    "/etc/shadow": "etc/shadow",
    "C:\\DCIM\\DJI_0001.JPG": "C_/DCIM/DJI_0001.JPG",
    "a\x00b.jpg": "a_b.jpg",
    "line\nbreak\r.jpg": "line_break_.jpg",
    "photo\u202egpj.exe": "photo_gpj.exe",
    "zero\u200bwidth.jpg": "zero_width.jpg",
    "\ud800.jpg": "_.jpg",
    "航线/照片 1.JPG": "航线/照片 1.JPG",
    "e\u0301.jpg": "é.jpg",
    "....//....//x": "x",
    "": "unnamed",
    "..": "unnamed",
    "///": "unnamed",
    "<script>alert(1)</script>.jpg": "_script_alert(1)_/script_.jpg",
    "nul\x00": "nul_",
}


@pytest.mark.parametrize(("sent", "kept"), HOSTILE.items())
def test_hostile_names_become_plain_ones(sent, kept):
    assert file_name(sent) == kept


@given(st.text(st.characters()))
def test_a_plain_name_leads_nowhere_and_stays_as_it_is(sent):
    name = file_name(sent)
    assert file_name(name) == name
    assert 0 < len(name) <= MOST_NAME
    assert not name.startswith("/")
    assert not set(PurePosixPath(name).parts) & {"", ".", ".."}
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn") for c in name)
    name.encode("utf-8")
    # It can be an asset's name, and the address leads back to the file.
    assert stored_sha256(Stored(PurePosixPath(name).name, "0" * 64, 1, "image/jpeg").href) == "0" * 64


@given(st.text(st.characters()).map(lambda text: f"{text}.JPG"))
def test_a_suffix_survives_where_the_name_is_cut(sent):
    assert file_name(sent).endswith(".JPG")


@given(st.lists(st.sampled_from(["a.JPG", "a (2).JPG", "b", "../a.JPG", ".x", "a.jpg"]), max_size=12))
def test_no_two_files_of_a_run_have_one_name(sent):
    names = distinct(sent)
    assert len(set(names)) == len(sent)
    assert all(file_name(name) == name for name in names)


@given(st.text(st.characters(), max_size=120))
def test_a_flights_id_stands_in_an_address(name):
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", flight_id(name))
    assert flight_id(flight_id(name)) == flight_id(name)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"name": " "}, "no-name"),
        ({"department": ""}, "no-name"),
        ({"pilot": "x" * 501}, "bad-field"),
        ({"purpose": "two\nlines"}, "bad-field"),
        ({"department": "d" * 201}, "bad-field"),
        ({"security": "secret"}, "bad-field"),
    ],
)
def test_a_plan_is_valid_once_built(fields, reason):
    with pytest.raises(Refused) as refused:
        Plan(**{"name": "north road", "department": "UAV"} | fields)
    assert refused.value.reason == reason


def test_what_is_announced_is_plain():
    for wrong in ({"name": "../x"}, {"name": "x", "size": -1}, {"name": "x", "sha256": "AB"}):
        with pytest.raises(Refused):
            Announced(**wrong)


def test_a_batch_of_two_cameras_is_told():
    assert cameras_note(["DJI FC6310"] * 3 + [""]) is None
    assert cameras_note([]) is None
    note = cameras_note(["DJI FC6310", "Canon S110", "DJI FC6310"])
    assert note is not None
    assert "several-cameras" in note
    assert "Canon S110 (1), DJI FC6310 (2)" in note
