"""Preview mosaics: of photos that know their pose, of photos that do not, against the ground they were drawn from."""

import math
from pathlib import Path

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rio_cogeo.cogeo import cog_validate

from imagery.errors import Refused
from imagery.inspect import inspect
from imagery.preview import preview
from imagery.registration import phase_shift
from imagery.simulator.simulate import simulate
from workers.home import Home
from workers.ingest import ingest
from workers.mosaic import preview_item


def test_the_preview_lies_on_the_orthophoto_of_the_same_ground(tmp_path: Path, home: Home) -> None:
    """Oracle: the simulator's exact orthophoto, and phase correlation between the two."""
    import torch
    from rasterio.enums import Resampling
    from rasterio.vrt import WarpedVRT

    made = simulate(tmp_path / "out", 9, size_m=(50.0, 40.0))
    ingest(home, [made.folder / "before/photos"], "f1", "420902")
    item = preview_item(home, "f1")
    said = item["properties"]
    assert said["flyonce:quality"] == "preview"
    assert 0 < said["flyonce:residual_m"] < 0.5
    assert said["flyonce:footprint_method"] == "pose"
    assert {link["rel"] for link in item["links"]} >= {"derived_from", "collection"}
    path = home.asset_path(item["assets"]["original"]["href"])
    assert cog_validate(str(path), quiet=True)[0]
    with rasterio.open(made.orthophotos[0]) as truth, rasterio.open(path) as drawn, WarpedVRT(
        drawn, crs=truth.crs, transform=truth.transform, width=truth.width, height=truth.height,
        resampling=Resampling.bilinear,
    ) as laid:  # fmt: skip
        seen = laid.dataset_mask() > 0
        a, b = truth.read(2).astype(np.float32), laid.read(2).astype(np.float32)
    assert seen.mean() > 0.95
    shift = phase_shift(torch.from_numpy(a), torch.from_numpy(b), torch.from_numpy(seen), 40)
    assert shift is not None
    assert math.hypot(shift.dx, shift.dy) * 0.03 < 0.3, "metres"
    assert preview_item(home, "f1") == item, "asked again, it is the one that is there"


def test_photos_without_a_pose_are_laid_by_matching_and_positions(data: Path) -> None:
    """caliterra_east is known to show 1.9 cm per pixel; its files tell positions alone, and turned ones at that."""
    paths = sorted((data / "flights/caliterra_east").glob("*.jpg"))[:8]
    made = preview([(path, inspect(path, decode=False)) for path in paths])
    assert len(made.used) == 8
    assert made.residual_m < 0.5
    native = made.transform.a * 1600 / 4000
    assert 0.012 < native < 0.03
    x, y = Transformer.from_crs(4326, made.crs, always_xy=True).transform(-98.1, 30.2)
    assert math.hypot(made.transform.c - x, made.transform.f - y) < 60_000


def test_a_flight_that_cannot_be_laid_together_says_so(home: Home, data: Path) -> None:
    with pytest.raises(Refused) as refused:
        preview_item(home, "nowhere")
    assert refused.value.reason == "no-such-flight"
    one = data / "flights/caliterra_east/IMG_9362.jpg"
    far = data / "photos/misc/AWPE Pigeon Lake 2020 DJI_0005.JPG"
    for paths, reason in (([one], "too-few-photos"), ([one, far], "not-matching")):
        with pytest.raises(Refused) as refused:
            preview([(path, inspect(path, decode=False)) for path in paths])
        assert refused.value.reason == reason
