import json
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.logs import JsonFormatter, redacted

words = st.text("abcdefghijklmnopqrstuvwxyzABCDEF0123456789", min_size=12, max_size=40)


@given(words)
def test_no_secret_comes_through(secret: str) -> None:
    for text in (
        f"GET /assets/a/b.tif?token={secret}&x=1 failed",
        f"http://s3/b/k?X-Amz-Credential=a&X-Amz-Signature={secret}",
        f"/vsicurl?use_head=no&url=http%3A%2F%2Fs3%2Fk%3FX-Amz-Signature%3D{secret}",
        f"headers: {{'authorization': 'Bearer {secret}'}}",
        f"Authorization: Basic {secret}",
        f"sent Bearer {secret} to it",
        f"postgresql://flyonce:{secret}@db/flyonce",
        f"FLYONCE_API_KEY={secret}",
        f"api_key={secret}",
        f"password={secret}",
    ):
        assert secret not in redacted(text), text


@pytest.mark.parametrize(
    "text", ["GET /stac/search 200", "2026-05-01T00:00:00Z", "keyset paging", "http://127.0.0.1:8000/x", "照片 照片"]
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text


def test_a_line_is_one_json_object_with_its_error() -> None:
    try:
        raise ValueError("cannot open http://s3/k?token=abcdefgh\nsecond line")
    except ValueError:
        record = logging.LogRecord("flyonce", logging.ERROR, __file__, 1, "job %s failed", ("7",), sys.exc_info())
    record.fields = {"status": 500, "path": "/x"}
    line = JsonFormatter().format(record)
    said = json.loads(line)
    assert "\n" not in line
    assert (said["message"], said["level"], said["status"], said["path"]) == ("job 7 failed", "ERROR", 500, "/x")
    assert "ValueError" in said["error"]
    assert "abcdefgh" not in line
