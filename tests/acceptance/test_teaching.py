"""A person who never saw the code teaches a new class by following the card: its very commands are run."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.warp import transform_geom
from shapely.geometry import shape

from imagery.simulator.simulate import draw
from workers.environment import WORKER_ENVIRONMENT

CARD = Path(__file__).parents[2] / "docs/models/shelf.md"
HEIGHT, WIDTH = 480, 720
SIZE = 60.0, 42.0
"""Metres of the simulated block that they are cut from."""
pytestmark = pytest.mark.timeout(1800)  # six processes that load torch, on a machine that may be busy


def orthophoto(folder, name, labels, seed, count, west):
    """A part of a simulated block with blue pools, and an outline of each in degrees."""
    image = draw(seed, 0.08, SIZE).before[:, :HEIGHT, :WIDTH].copy()
    rng = np.random.default_rng(seed)
    transform = rasterio.Affine(0.08, 0, west, 0, -0.08, 3_400_000)
    cells = [(row, col) for row in range(20, 380, 140) for col in range(20, 620, 150)]
    features = []
    for index in rng.permutation(len(cells))[:count].tolist():
        row, col = (value + int(rng.integers(0, 30)) for value in cells[index])
        high, wide = rng.integers(36, 60, 2).tolist()
        water = np.clip(rng.normal((60, 150, 205), 8, (high, wide, 3)), 0, 255).transpose(2, 0, 1)
        image[:, row : row + high, col : col + wide] = water
        corners = ((col, row), (col + wide, row), (col + wide, row + high), (col, row + high), (col, row))
        ring = {"type": "Polygon", "coordinates": [[transform * corner for corner in corners]]}
        geometry = transform_geom("EPSG:32650", "OGC:CRS84", ring)
        features.append({"type": "Feature", "geometry": geometry, "properties": {"class": "pool"}})
    profile = {"driver": "GTiff", "width": WIDTH, "height": HEIGHT, "count": 3, "dtype": "uint8", "crs": "EPSG:32650"}
    with rasterio.open(folder / name, "w", transform=transform, **profile) as ds:
        ds.write(image)
    (folder / labels).write_text(json.dumps({"type": "FeatureCollection", "features": features}))


def commands():
    """Of the card's section on a new class, in their order."""
    section = CARD.read_text("utf-8").split("## Teach a new class", 1)[1].split("\n## ", 1)[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """The folder, and what each command of the card answered."""
    folder = tmp_path_factory.mktemp("teaching")
    orthophoto(folder, "ortho.tif", "pools.geojson", 3, 10, 500_000)
    orthophoto(folder, "other.tif", "other-labels.geojson", 4, 6, 501_000)
    environment = {**os.environ, **WORKER_ENVIRONMENT, "FLYONCE_HOME": str(folder / "home"), "FLYONCE_WORKERS": "1"}
    answers = {}
    for line in commands():
        program, *arguments = line.split()
        assert program == "flyonce", line
        run = subprocess.run(
            [sys.executable, "-m", "flyonce", *arguments], cwd=folder, env=environment, capture_output=True, text=True
        )
        assert run.returncode == 0, f"{line}\n{run.stdout}\n{run.stderr}"
        answers[line] = run
    return folder, answers


def test_the_card_s_commands_teach_look_and_measure(followed):
    folder, answers = followed
    assert [line.split()[1] for line in answers] == ["train", "train", "detect", "models", "evaluate"]
    told = answers[next(line for line in answers if "train debris" in line)]
    assert "step 步 20/20" in told.stderr
    for kind in (".safetensors", ".json", "-curve.png", "-examples.png"):
        assert (folder / f"home/shelf/pools{kind}").stat().st_size > 500


def test_what_was_taught_finds_pools_that_it_never_saw(followed):
    folder, _ = followed
    found = [shape(one["geometry"]) for one in json.loads((folder / "found.geojson").read_text())["features"]]
    pools = [shape(one["geometry"]) for one in json.loads((folder / "other-labels.geojson").read_text())["features"]]
    hit = [pool for pool in pools if any(one.intersection(pool).area > 0.5 * pool.area for one in found)]
    assert len(hit) >= 5, f"{len(hit)} of {len(pools)} pools, {len(found)} findings"


def test_pictures_that_were_taught_on_are_not_scored(followed):
    folder, _ = followed
    environment = {**os.environ, **WORKER_ENVIRONMENT, "FLYONCE_HOME": str(folder / "home"), "FLYONCE_WORKERS": "1"}
    asked = ["evaluate", "pools", "pools.geojson", "--source", "ortho.tif"]
    run = subprocess.run(
        [sys.executable, "-m", "flyonce", *asked], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 1
    assert "trained-on" in run.stderr
