"""A video from the drone's card to the answer which second shows a place: ffmpeg, SRT, index, key frames, search."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import distributed
import numpy as np
import pytest
from pyproj import Geod, Transformer
from shapely.geometry import Point, Polygon, shape

from catalog_api.access import Reader
from imagery.camera import Camera
from imagery.clips import footprints
from imagery.errors import Refused
from imagery.inspect import inspect
from imagery.simulator.options import Options
from imagery.simulator.place import CRS
from imagery.simulator.simulate import Simulation, simulate
from imagery.values import Attitude, Lens, Position
from imagery.video import ffmpeg, frame, probe
from records import jobs
from records.engine import transaction
from sharing.policy import LOCAL_OPERATOR
from stac import flights
from stac.flight_tables import Sender
from stac.flight_values import Announced, Plan
from stac.items import Custody, with_owner
from stac.store import Item, Query
from tickets.codes import load_codes
from workers.captures import get_item
from workers.cluster import connect
from workers.films import frame_capture
from workers.flights import report_of
from workers.frames import captures_in
from workers.home import Home
from workers.ingest import catalogue, ingest
from workers.intake import walk
from workers.jobs import DetectJob
from workers.looking import look
from workers.loop import Engine, perform
from workers.propose import captures_of
from workers.receiving import receive
from workers.taking import take

GEOD = Geod(ellps="WGS84")
TO_DEGREES = Transformer.from_crs(CRS, 4326, always_xy=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    return simulate(tmp_path_factory.mktemp("film") / "out", 21, size_m=(60.0, 34.0), options=Options(video=True))


@pytest.fixture(scope="module")
def exact(made: Simulation) -> list[dict[str, Any]]:
    document = json.loads(made.poses.read_text())
    frames: list[dict[str, Any]] = document["videos"][0]["frames"]
    for one in frames:
        one["lens"] = document["photos"][0]["lens"]
    return frames


def corners_of(pose: dict[str, Any]) -> np.ndarray:
    camera = Camera(Lens(**pose["lens"]), Attitude(**pose["attitude"]), pose["height_above_ground"])
    ground = camera.to_ground([[0, 0], [1600, 0], [1600, 1200], [0, 1200]])
    lon, lat = TO_DEGREES.transform(pose["easting"] + ground[:, 0], pose["northing"] + ground[:, 1])
    return np.stack([lon, lat], axis=-1)


def test_each_second_s_footprint_is_where_the_frame_was_taken(made: Simulation, exact: list[dict[str, Any]]) -> None:
    path = made.folder / "before/video.mp4"
    clip = probe(path)
    assert (clip.width, clip.height) == (640, 480)
    assert clip.seconds == pytest.approx(len(exact) / 5, abs=0.3)
    capture = inspect(path)
    assert capture.kind == "video"
    assert len(capture.seen) == int(clip.seconds) + 1
    for one in capture.seen:
        truth = corners_of(exact[round(one.seconds * 5)])
        told = np.array(one.footprint.geometry["coordinates"][0][:-1])
        _, _, off = GEOD.inv(*truth.T, *told[[np.argmin(np.hypot(*(told - c).T)) for c in truth]].T)
        assert float(np.max(off)) < 2.0
        assert float(np.max(off)) < one.footprint.error_m
    assert frame(path, 1.0).shape == (480, 640, 3)


def test_a_place_is_found_by_second_and_side(made: Simulation, exact: list[dict[str, Any]], home: Home) -> None:
    report = ingest(home, [made.folder / "before"], "film", "420902")
    assert not report.quarantined
    kinds = {one.item.partition("/")[0] for one in report.accepted}
    assert kinds == {"photos", "orthophotos", "videos"}
    pose = exact[len(exact) // 2]
    lon, lat = TO_DEGREES.transform(pose["easting"], pose["northing"])
    place = GEOD.fwd(lon, lat, 0.0, 5.0)
    reader = Reader(home, load_codes(None), LOCAL_OPERATOR)
    views = reader.views(place[0], place[1], 100)
    by_kind = {view["collection"] for view in views}
    assert by_kind == {"photos", "orthophotos", "videos", "frames"}
    (video,) = (view for view in views if view["collection"] == "videos")
    inside = [one for one in exact if Polygon(corners_of(one)).covers(Point(place[:2]))]
    assert video["begins"] == pytest.approx(inside[0]["seconds"], abs=1.2)
    assert video["ends"] == pytest.approx(inside[-1]["seconds"], abs=1.2)
    assert video["flight"] == "film"
    assert video["side"] == "S", "the camera was 5 m south of the place"
    assert video["distance"] == pytest.approx(60, abs=3)
    assert reader.views(lon + 0.01, lat, 100) == []


def test_telemetry_of_another_video_is_refused(made: Simulation, tmp_path: Path, data: Path) -> None:
    video = shutil.copy(made.folder / "before/video.mp4", tmp_path / "DJI_0001.MP4")
    with pytest.raises(Refused) as refused:
        inspect(video)
    assert refused.value.reason == "no-telemetry"
    shutil.copy(data / "telemetry/srt/mavic_pro.SRT", tmp_path / "DJI_0001.SRT")
    with pytest.raises(Refused) as refused:
        inspect(video)
    assert refused.value.reason == "telemetry-of-another-video"
    (tmp_path / "DJI_0001.SRT").unlink()
    (tmp_path / "DJI_0001.csv").write_text(
        "seconds,lat,lon\n" + "".join(f"{i},30.6,{114 + i / 1e5}\n" for i in range(40))
    )
    with pytest.raises(Refused) as refused:
        inspect(video)
    assert refused.value.reason == "offset-unknown"
    assert len(inspect(video, offset=-20.0).track.fixes) == 6  # type: ignore[union-attr]


def test_videos_that_are_broken_or_no_videos(made: Simulation, tmp_path: Path) -> None:
    whole = (made.folder / "before/video.mp4").read_bytes()
    broken = {"cut.mp4": whole[: len(whole) // 2], "head.mp4": whole[:600], "noise.mp4": whole[:8] + bytes(4000)}
    for name, content in broken.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(Refused) as refused:
            inspect(path)
        assert refused.value.reason in ("truncated", "damaged", "no-video", "no-telemetry")
        assert name in refused.value.message


class Level:
    """Ground at one height everywhere."""

    lowest = 0.0

    def __init__(self, height: float) -> None:
        self.height = height

    def below(self, position: Position, reach: float) -> tuple["Level", float]:
        return self, self.height

    def heights(self, ground: np.ndarray) -> np.ndarray:
        return np.zeros(ground.shape[:-1])


def test_a_frame_stands_over_the_ground_of_its_video_and_is_off_by_as_much(made: Simulation) -> None:
    """Telemetry that tells absolute heights alone, a log that may be two seconds off, and an elevation model."""
    capture = inspect(made.folder / "before/video.mp4")
    assert capture.track is not None
    first = capture.track.fixes[0]
    assert first.height is not None
    assert first.above_ground is not None
    track = replace(capture.track, fixes=tuple(replace(fix, above_ground=None) for fix in capture.track.fixes))
    ground = first.height - first.above_ground
    exact, doubtful = (
        footprints(track, capture.width, capture.height, terrain=Level(ground), timing=timing)[3]
        for timing in (0.0, 2.0)
    )
    sure, unsure = frame_capture(capture, exact), frame_capture(capture, doubtful)
    assert sure.camera_height == pytest.approx(first.above_ground, abs=0.5)
    assert sure.sigma is not None
    assert unsure.sigma is not None
    # The flight is at 5 m/s.
    assert unsure.sigma.position == pytest.approx(np.hypot(sure.sigma.position, 10.0), rel=0.1)
    assert unsure.footprint == doubtful.footprint


def test_subtitles_inside_the_video_are_read(made: Simulation, tmp_path: Path) -> None:
    source = made.folder / "before/video.mp4"
    path = tmp_path / "inside.mp4"
    command = [ffmpeg(), "-loglevel", "error", "-i", str(source), "-i", str(source.with_suffix(".SRT")), "-map", "0:v",
               "-map", "1:s", "-c:v", "copy", "-c:s", "mov_text", "-y", str(path)]  # fmt: skip
    subprocess.run(command, check=True)
    capture = inspect(path)
    assert capture.track is not None
    assert len(capture.track.fixes) >= 10
    assert capture.footprint.method == "pose"


def arrives(home: Home, name: str, content: bytes) -> None:
    """By upload: in the store and in the books, unread."""
    me = Sender("li", "operator")
    kept = home.files.put_bytes(content)
    with transaction(home.engine) as conn:
        flights.open_flight(conn, Plan("north", "UAV", open_ended=True), me)
        receive(conn, "north", name, kept.sha256, kept.size, me)


def test_a_video_is_read_again_when_its_telemetry_comes(made: Simulation, home: Home) -> None:
    """The SRT was announced with the video and comes after it; the take that it wakes answers both."""
    video = made.folder / "before/video.mp4"
    subtitles = video.with_suffix(".SRT").read_bytes()
    me = Sender("li", "operator")
    with transaction(home.engine) as conn:
        flights.open_flight(conn, Plan("north", "UAV", open_ended=True), me)
        digest = hashlib.sha256(subtitles).hexdigest()
        flights.announce(conn, "north", [Announced("card/DJI_1.SRT", len(subtitles), digest)], me)
    arrives(home, "card/DJI_1.MP4", video.read_bytes())
    arrives(home, "card/DJI_2.MP4", video.read_bytes() + b"\0" * 8)
    take(home, "north", lambda *_: None)

    def told() -> dict[str, tuple[str, str]]:
        return {file["file"]: (file["state"], file.get("reason", "")) for file in report_of(home, "north")["files"]}

    missing = ("quarantined", "no-telemetry")
    assert told() == {"card/DJI_1.MP4": missing, "card/DJI_2.MP4": missing, "card/DJI_1.SRT": ("missing", "")}
    arrives(home, "card/DJI_1.SRT", subtitles)
    take(home, "north", lambda *_: None)
    assert told() == {
        "card/DJI_1.MP4": ("accepted", ""),
        "card/DJI_1.SRT": ("accepted", ""),
        "card/DJI_2.MP4": missing,
    }
    assert take(home, "north", lambda *_: None)["answered"] == 0


def test_at_home_a_later_run_takes_the_video_up(made: Simulation, home: Home, tmp_path: Path) -> None:
    video = shutil.copy(made.folder / "before/video.mp4", tmp_path / "DJI_1.MP4")
    assert ingest(home, [Path(video)], "north", "UAV", plan=Plan("north", "UAV", open_ended=True)).accepted == ()
    shutil.copy(made.folder / "before/video.SRT", tmp_path / "DJI_1.SRT")
    ingest(home, [tmp_path / "DJI_1.SRT"], "north", "UAV")
    states = {file["file"]: file["state"] for file in report_of(home, "north")["files"]}
    assert states == {"DJI_1.MP4": "accepted", "DJI_1.SRT": "accepted"}


def test_an_offset_that_was_said_holds_for_the_look_as_well(made: Simulation, home: Home, tmp_path: Path) -> None:
    shutil.copy(made.folder / "before/video.mp4", tmp_path / "DJI_1.MP4")
    rows = "".join(f"{i},30.6,{114 + i / 1e5}\n" for i in range(40))
    (tmp_path / "DJI_1.csv").write_text("seconds,lat,lon\n" + rows)
    refused = ingest(home, [tmp_path / "DJI_1.MP4"], "north", "UAV")  # its log goes with it
    assert [(one.reason, one.file) for one in refused.quarantined] == [("offset-unknown", str(tmp_path / "DJI_1.MP4"))]
    _, taken = catalogue(home, list(walk([tmp_path / "DJI_1.MP4"])), Plan("south", "UAV"), offset=-20.0)
    assert [answer.outcome for _, answer in taken] == ["accepted", "duplicate"]
    assert look(home, "south", lambda *_: None)["damaged"] == 0
    (item,) = (one for one in home.catalog.search(Query(("videos",))).items if "original" in one["assets"])
    assert item["properties"]["flyonce:log_offset"] == {"seconds": -20.0, "source": "said", "sigma": 0.5}
    assert "thumbnail" in item["assets"]


def test_an_offset_that_was_wrong_is_said_again(
    made: Simulation, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(made.folder / "before/video.mp4", tmp_path / "DJI_1.MP4")
    rows = "".join(f"{i},30.6,{114 + i / 1e5}\n" for i in range(60))
    (tmp_path / "DJI_1.csv").write_text("seconds,lat,lon\n" + rows)

    def sent(offset: float) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        report = ingest(home, [tmp_path / "DJI_1.MP4"], "south", "UAV", offset=offset)
        assert report.quarantined == ()
        (video,) = (one for one in home.catalog.search(Query(("videos",))).items if "original" in one["assets"])
        return video, list(home.catalog.search(Query(("frames",), limit=100)).items)

    before, old = sent(-20.0)
    home.catalog.change_item(
        "videos", before["id"], partial(with_owner, Custody("north").properties(datetime.now(UTC)))
    )
    extra = {**old[0], "id": f"{before['id']}-999999"}
    home.catalog.put_items([extra])  # as one that only the earlier time would have chosen
    after, new = sent(-30.0)
    assert after["properties"]["flyonce:log_offset"] == {"seconds": -30.0, "source": "said", "sigma": 0.5}
    assert after["properties"]["flyonce:owners"] == ["UAV", "north"]
    assert after["properties"]["created"] == before["properties"]["created"]
    assert "thumbnail" in after["assets"]
    # The log moves east by 1e-5 degrees a second.
    assert after["bbox"][0] - before["bbox"][0] == pytest.approx(10e-5, abs=2e-6)
    assert new
    assert extra["id"] not in {one["id"] for one in new}
    moved = {one["id"]: one["bbox"][0] for one in new}
    assert all(moved[one["id"]] > one["bbox"][0] for one in old if one["id"] in moved)
    assert sent(-30.0) == (after, new)

    # A department that becomes an owner between the reading and the writing of a later time stays one.
    put = home.catalog.change_item

    def joined_just_before(collection: str, item: str, change: Callable[[Item | None], Item | None]) -> Item | None:
        put(collection, item, partial(with_owner, Custody("east").properties(datetime.now(UTC))))
        return put(collection, item, change)

    with monkeypatch.context() as patched:
        patched.setattr(home.catalog, "change_item", joined_just_before)
        after, new = sent(-29.0)
    assert after["properties"]["flyonce:owners"] == ["UAV", "east", "north"]

    (refused,) = ingest(home, [tmp_path / "DJI_1.MP4"], "south", "UAV", offset=-500.0).quarantined
    assert refused.reason == "offset-unknown"
    assert "nothing of DJI_1.csv falls into the video" in refused.message
    assert home.catalog.get_item("videos", after["id"]) == after
    assert sent(-20.0)[0]["properties"]["flyonce:log_offset"]["seconds"] == -20.0


@pytest.fixture
def alone() -> Iterator[distributed.Client]:
    with connect(workers=1, processes=False) as client:
        yield client


class Local(Engine):
    """Uses a cluster of threads."""

    def __init__(self, client: distributed.Client) -> None:
        super().__init__("", 1)
        self._shared = client

    def client(self, *, on_cores: bool = False) -> distributed.Client:
        return self._shared


def taken_in(home: Home, folder: Path) -> str:
    """The item of the one video in a folder."""
    accepted = ingest(home, [folder], "film", "420902").accepted
    (video,) = (one.item for one in accepted if "original" in get_item(home, one.item)["assets"])
    return video


def detected(home: Home, client: distributed.Client, source: str) -> dict[str, Any]:
    """What a job over this source came to."""
    with transaction(home.engine) as conn:
        job = DetectJob("debris", source)
        jobs.enqueue(conn, job.kind, job.to_payload())
    row = jobs.lease(home.engine, "test", 600, kinds=["detect"])
    assert row is not None
    perform(home, Local(client), load_codes(None), row)
    done = jobs.get(home.engine, row.id)
    assert done is not None
    assert done.state is jobs.State.DONE, done.error
    assert done.result is not None
    return done.result


def findings(home: Home, run: Item) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(home.asset_path(run["assets"]["features"]["href"]).read_text("utf-8"))
    return kept


def test_a_video_is_analysed_frame_by_frame_and_findings_lie_where_its_pose_puts_them(
    made: Simulation, home: Home, alone: distributed.Client, tmp_path: Path
) -> None:
    (folder := tmp_path / "card").mkdir()
    for name in ("video.mp4", "video.SRT"):
        shutil.copy(made.folder / "after" / name, folder / name)
    video = taken_in(home, folder)
    result = detected(home, alone, video)
    runs = [get_item(home, name) for name in result["items"]]
    captures = [captures_of(run)[0] for run in runs]
    assert captures == captures_in(home, video)
    assert len(captures) == len(set(captures)) > 1
    truth = json.loads(made.poses.read_text())
    (poses,) = (one["frames"] for one in truth["videos"] if one["file"].startswith("after"))
    placed = 0
    for capture, run in zip(captures, runs, strict=True):
        frame_of = get_item(home, capture)["properties"]
        kept = findings(home, run)
        (about,) = kept["flyonce"]["runs"]
        assert about["seconds"] == frame_of["flyonce:seconds"]
        assert about["source"]["gsd_from"] == "pose"
        pose = poses[round(about["seconds"] * 5)]
        scaled = Lens(**truth["photos"][0]["lens"])
        camera = Camera(scaled, Attitude(**pose["attitude"]), pose["height_above_ground"])
        for feature in kept["features"]:
            middle = shape(feature["geometry"]).exterior.coords[0]
            across = camera.to_ground(np.array([middle]) * 1600 / 640)
            lon, lat = TO_DEGREES.transform(pose["easting"] + across[:, 0], pose["northing"] + across[:, 1])
            ground = shape(feature["properties"]["ground"])
            assert ground.is_valid
            corners = np.array(ground.exterior.coords)
            _, _, off = GEOD.inv(np.full(len(corners), lon), np.full(len(corners), lat), *corners.T)
            assert float(np.min(off)) < feature["properties"]["error_m"]
            placed += 1
    assert placed > 0
    assert len(result["events"]) > 0


def test_a_video_that_does_not_tell_where_it_looks_is_analysed_without_a_place(
    made: Simulation, home: Home, alone: distributed.Client, tmp_path: Path
) -> None:
    (folder := tmp_path / "card").mkdir()
    shutil.copy(made.folder / "after/video.mp4", folder / "plain.mp4")
    seconds = probe(folder / "plain.mp4").seconds
    log = "".join(f"{i / 2},30.6,{114 + i / 1e5}\n" for i in range(int(seconds * 2) + 1))
    (folder / "plain.csv").write_text("seconds,lat,lon\n" + log)
    video = taken_in(home, folder)
    result = detected(home, alone, video)
    frames = [get_item(home, name) for name in captures_in(home, video)]
    assert [one["properties"]["flyonce:seconds"] for one in frames] == list(range(0, int(seconds) + 1, 10))
    assert {one["geometry"]["type"] for one in frames} == {"Point"}
    assert len(result["items"]) == len(frames)
    assert result["events"] == []
    assert "does not tell its pose" in result["notes"][0]
    for name in result["items"]:
        for feature in findings(home, get_item(home, name))["features"]:
            assert feature["properties"]["ground"] is None


def test_a_video_nobody_has_looked_at_is_refused_by_name(home: Home) -> None:
    with pytest.raises(Refused) as refused:
        captures_in(home, "videos/none")
    assert refused.value.reason == "no-such-item"
    assert captures_in(home, "photos/1") == ["photos/1"]
