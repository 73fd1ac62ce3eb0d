"""tus 1.0's headers as values: what is well formed comes back as it was, and nothing else gets through."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_api import tus
from catalog_api.tus import TusError

KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=","), min_size=1, max_size=20)
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
UPLOAD = "0123456789abcdef" * 2


@given(st.dictionaries(KEYS, TEXTS, max_size=6))
def test_metadata_comes_back_as_it_was(values: dict[str, str]) -> None:
    assert tus.metadata_of({"upload-metadata": tus.metadata_header(values)}) == values


@given(st.text(st.characters(max_codepoint=255), max_size=200))
def test_any_metadata_is_read_or_refused(header: str) -> None:
    try:
        found = tus.metadata_of({"upload-metadata": header})
    except TusError as error:
        assert error.status == 400  # noqa: PT017
    else:
        assert all(isinstance(value, str) for value in found.values())


@pytest.mark.parametrize(
    "header",
    ["name", "filename !!!", "a YQ==,a YQ==", "né YQ==", "filename /w==", "a " + "YWFh" * 3000],
    ids=["no value is fine", "not base64", "twice", "not ASCII", "not UTF-8", "too long"],
)
def test_metadata_that_is_not_well_formed(header: str) -> None:
    if header == "name":
        assert tus.metadata_of({"upload-metadata": header}) == {"name": ""}
        return
    with pytest.raises(TusError) as refused:
        tus.metadata_of({"upload-metadata": header})
    assert (refused.value.status, refused.value.code) == (400, "bad-metadata")


@pytest.mark.parametrize("value", ["", "-1", "+1", "1.0", "1e3", "0x10", " 1", "١", "9" * 19, "1_000"])
def test_lengths_are_plain_numbers(value: str) -> None:
    for read in (lambda headers: tus.length_of(headers, 100), tus.offset_of):
        with pytest.raises(TusError) as refused:
            read({"upload-length": value, "upload-offset": value})
        assert refused.value.status == 400


def test_a_length_has_a_limit_and_cannot_be_left_for_later() -> None:
    assert tus.length_of({"upload-length": "100"}, 100) == 100
    with pytest.raises(TusError) as refused:
        tus.length_of({"upload-length": "101"}, 100)
    assert refused.value.status == 413
    with pytest.raises(TusError) as refused:
        tus.length_of({"upload-defer-length": "1"}, 100)
    assert refused.value.status == 400


@given(st.binary(max_size=100), st.sampled_from(tus.ALGORITHMS))
def test_a_checksum_knows_its_bytes(data: bytes, algorithm: str) -> None:
    digest = hashlib.new(algorithm, data).digest()
    header = f"{algorithm} {base64.b64encode(digest).decode()}"
    checksum = tus.checksum_of({"upload-checksum": header})
    assert checksum is not None
    hasher = checksum.hasher()
    hasher.update(data)
    assert hasher.digest() == checksum.digest


@pytest.mark.parametrize("header", ["crc32 YQ==", "sha1", "sha1 YQ==", "sha1 !", "SHA1 2jmj7l5rSw0yVb/vlWAYkK/YBwk="])
def test_a_checksum_that_none_can_have(header: str) -> None:
    with pytest.raises(TusError) as refused:
        tus.checksum_of({"upload-checksum": header})
    assert refused.value.status == 400


def test_concatenation() -> None:
    partial = tus.concat_of({"upload-concat": "partial"})
    assert partial is not None
    assert partial.partial
    other = UPLOAD[::-1]
    final = tus.concat_of({"upload-concat": f"final;/uploads/{UPLOAD} https://flyonce.example/uploads/{other}"})
    assert final is not None
    assert final.parts == (UPLOAD, other)
    assert tus.concat_of({}) is None


@pytest.mark.parametrize(
    "header",
    [
        "final",
        "final;",
        "whole;/uploads/" + UPLOAD,
        "final;/uploads/../../etc/passwd",
        "final;/uploads/" + UPLOAD.upper(),
        f"final;/uploads/{UPLOAD} /uploads/{UPLOAD}",
        "final;" + " ".join(f"/uploads/{number:032x}" for number in range(tus.MOST_PARTS + 1)),
    ],
)
def test_parts_are_uploads_of_ours_named_once(header: str) -> None:
    with pytest.raises(TusError) as refused:
        tus.concat_of({"upload-concat": header})
    assert refused.value.code == "bad-concat"


def test_version_body_and_date() -> None:
    tus.check_version({"tus-resumable": "1.0.0"})
    for headers in ({}, {"tus-resumable": "0.2.2"}):
        with pytest.raises(TusError) as refused:
            tus.check_version(headers)
        assert refused.value.status == 412
    tus.check_body({"content-type": "application/offset+octet-stream"})
    with pytest.raises(TusError) as refused:
        tus.check_body({"content-type": "application/octet-stream"})
    assert refused.value.status == 415
    moment = datetime(2026, 11, 26, 8, 0, 5, tzinfo=timezone(timedelta(hours=8)))
    assert tus.expires(moment) == "Thu, 26 Nov 2026 00:00:05 GMT"
    assert parsedate_to_datetime(tus.expires(moment)) == moment.astimezone(UTC)
