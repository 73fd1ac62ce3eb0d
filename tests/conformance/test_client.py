"""`flyonce.open` and `flyonce.connect` answer the same questions in the same way."""

from pathlib import Path
from urllib.parse import urlparse

import httpx
import pytest

import flyonce


def test_a_server_and_its_client_agree(served: str) -> None:
    client = flyonce.connect(served)
    found = client.search(["photos"], bbox=(102.6, 24.9, 102.8, 25.1), filter="gsd < 0.0175", limit=3)
    assert len(found) == 3
    times = [item["properties"]["datetime"] for item in found]
    assert times == sorted(times, reverse=True)
    assert client.events() == httpx.get(f"{served}/api/events").json()["events"]


def test_a_key_is_sent_and_never_shown() -> None:
    client = flyonce.connect("http://127.0.0.1:9/", "s3cret")
    assert "s3cret" not in repr(client)
    with pytest.raises(flyonce.AskedWrongError, match="does not answer") as caught:
        client.search()
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "words"),
    [({"bbox": (1, 2, 3)}, "bbox"), ({"datetime": "yesterday"}, "datetime"), ({"filter": "a b"}, "filter")],
)
def test_a_wrong_question_names_its_part(served: str, home: object, asked: dict[str, object], words: str) -> None:
    local = flyonce.client.LocalClient(home)  # type: ignore[arg-type]
    for client in (flyonce.connect(served), local):
        with pytest.raises(flyonce.AskedWrongError, match=words):
            client.search(**asked)  # type: ignore[arg-type]


def test_assets_of_a_home_open_as_files(home: object, data: Path) -> None:
    from workers.ingest import ingest

    photo = min((data / "flights" / "brighton_beach").glob("*.JPG"))
    ingest(home, [photo], "one", "D")  # type: ignore[arg-type]
    (item,) = flyonce.client.LocalClient(home).search(["photos"])  # type: ignore[arg-type]
    assert Path(urlparse(item["assets"]["original"]["href"]).path).read_bytes() == photo.read_bytes()
