"""The real pictures that change is learned on: `python -m detectors.change_stock OUT` packs them into a small folder.

A town (OpenAerialMap over Banepa, CC-BY-4.0) with the outlines of its buildings (OpenStreetMap, ODbL), a construction
site photographed again and again (Caliterra, CC0) with the homographies between its frames, and farmland on six dates
(NAIP, public domain). The packed folder is all that a training machine needs beside this code.
"""

import argparse
import json
import math
import os
import re
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.uint8]
"""uint8 [H, W, 3]."""
TOWN_GSD, FRAME_GSD, LABEL_GSD, ZOOM = 0.2, 0.06, 0.019, 19
_TILE = 512
_AGREED = 60
"""Matches that a homography between two frames must rest on."""


@dataclass(frozen=True, slots=True, eq=False)
class Stock:
    """What was packed. Outlines are in pixels (x, y) of their picture."""

    town: Picture
    roofs: tuple[NDArray[np.float64], ...]
    outskirts: Picture
    """More of the town, without outlines."""
    frames: tuple[Picture, ...]
    things: tuple[tuple[int, NDArray[np.float64]], ...]
    """Frame and outline of heaps, material and debris."""
    joined: tuple[tuple[int, int, NDArray[np.float64]], ...]
    """Frames i and j, and the homography [3, 3] from pixels of i to pixels of j."""
    farmland: tuple[Picture, ...]


def load(folder: Path) -> Stock:
    """The stock that `pack` wrote."""
    about = json.loads((folder / "stock.json").read_text())

    def picture(name: str) -> Picture:
        with Image.open(folder / name) as opened:
            return np.asarray(opened.convert("RGB"))

    return Stock(
        picture("town.jpg"),
        tuple(np.array(ring) for ring in about["roofs"]),
        picture("outskirts.jpg"),
        tuple(picture(name) for name in about["frames"]),
        tuple((int(frame), np.array(ring)) for frame, ring in about["things"]),
        tuple((int(i), int(j), np.array(h)) for i, j, h in about["joined"]),
        tuple(picture(name) for name in about["farmland"]),
    )


def pack(data: Path, out: Path) -> None:
    """Write the stock from the folder of real imagery that FLYONCE_DATA names."""
    out.mkdir(parents=True, exist_ok=True)
    town, west, north = _mosaic(sorted((data / "orthos/banepa/train/oam").glob("*.tif")))
    shrink = 2**-ZOOM * 40075016.686 * math.cos(math.radians(27.63)) / _TILE / TOWN_GSD
    _save(town, shrink, out / "town.jpg")
    outskirts, *_ = _mosaic(sorted((data / "orthos/banepa/predict/oam").glob("*.tif")))
    _save(outskirts, shrink, out / "outskirts.jpg")
    (footprints,) = (data / "orthos/banepa/train/osm").glob("*.geojson")
    roofs = []
    for feature in json.loads(footprints.read_text())["features"]:
        geometry = feature["geometry"]
        if geometry["type"] == "Polygon":
            ring = np.array(geometry["coordinates"][0])
            roofs.append(((_tile_pixels(ring) - (west * _TILE, north * _TILE)) * shrink).round(1).tolist())
    frames = sorted((data / "flights/caliterra_east").glob("*.jpg"))
    small = []
    for path in frames:
        with Image.open(path) as opened:
            picture = np.asarray(opened.convert("RGB"))
        small.append(_save(picture, LABEL_GSD / FRAME_GSD, out / path.name))
    farmland = []
    for path in sorted((data / "orthos/naip_2009_2016").glob("*.tif")):
        import rasterio  # the training machine, which only loads, does without it

        with rasterio.open(path) as ds:
            picture = np.ascontiguousarray(ds.read((1, 2, 3)).transpose(1, 2, 0))
        farmland.append(f"{path.stem}.jpg")
        _save(picture, 1.0, out / farmland[-1])
    about = {
        "roofs": roofs,
        "frames": [path.name for path in frames],
        "things": _things(data / "flights/caliterra_east/labels.json", [path.name for path in frames]),
        "joined": _joined(small),
        "farmland": farmland,
    }
    (out / "stock.json").write_text(json.dumps(about))


def _mosaic(paths: list[Path]) -> tuple[Picture, int, int]:
    """Tiles of one zoom put together, and the tile numbers of the upper left one."""
    found = [re.search(r"-(\d+)-(\d+)-\d+$", path.stem) for path in paths]
    places = [(int(one.group(1)), int(one.group(2))) for one in found if one]
    west, north = min(x for x, _ in places), min(y for _, y in places)
    wide, high = max(x for x, _ in places) - west + 1, max(y for _, y in places) - north + 1
    out = np.zeros((high * _TILE, wide * _TILE, 3), dtype=np.uint8)
    for path, (x, y) in zip(paths, places, strict=True):
        with Image.open(path) as opened:
            row, col = (y - north) * _TILE, (x - west) * _TILE
            out[row : row + _TILE, col : col + _TILE] = np.asarray(opened.convert("RGB"))
    return out, west, north


def _tile_pixels(lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pixels of the world at `ZOOM`, [N, 2], of degrees."""
    lon, lat = np.radians(lonlat[:, 0]), np.radians(lonlat[:, 1])
    size = 2**ZOOM * _TILE
    return np.stack(((lon / math.pi + 1) / 2 * size, (1 - np.arcsinh(np.tan(lat)) / math.pi) / 2 * size), axis=1)


def _save(picture: Picture, scale: float, path: Path) -> Picture:
    image = Image.fromarray(picture)
    if scale != 1:
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BOX)
    image.save(path, quality=88)
    return np.asarray(image)


def _things(labels: Path, frames: list[str]) -> list[tuple[int, list[list[float]]]]:
    coco = json.loads(labels.read_text())
    kinds = {category["id"]: category["name"] for category in coco["categories"]}
    names = {image["id"]: image["file_name"] for image in coco["images"]}
    scale = LABEL_GSD / FRAME_GSD
    return [
        (
            frames.index(names[mark["image_id"]]),
            (np.reshape(mark["segmentation"][0], (-1, 2)) * scale).round(1).tolist(),
        )
        for mark in coco["annotations"]
        if kinds[mark["category_id"]] != "ignore" and not mark.get("attributes", {}).get("truncated")
    ]


def _joined(frames: list[Picture]) -> list[tuple[int, int, list[list[float]]]]:
    """Homographies between frames that overlap by a third or more."""
    import cv2

    sift = cv2.SIFT_create(3000)  # type: ignore[attr-defined]
    told = [sift.detectAndCompute(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), None) for frame in frames]
    joined = []
    for i, j in combinations(range(len(frames)), 2):
        (points, first), (others, second) = told[i], told[j]
        near = cv2.BFMatcher().knnMatch(first, second, k=2)
        good = [a for a, b in near if a.distance < 0.7 * b.distance]
        if len(good) < _AGREED:
            continue
        here = np.array([points[m.queryIdx].pt for m in good])
        there = np.array([others[m.trainIdx].pt for m in good])
        matrix, inside = cv2.findHomography(here, there, cv2.RANSAC, 2.0)
        if matrix is None or inside.sum() < _AGREED:
            continue
        height, width = frames[i].shape[:2]
        corner = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]]) @ np.asarray(matrix).T
        moved = corner[:, :2] / corner[:, 2:]
        shared = np.prod(np.minimum(moved.max(0), (width, height)) - np.maximum(moved.min(0), 0))
        if shared > 0.35 * width * height and (np.abs(moved).max() < 3 * width):
            joined.append((i, j, np.asarray(matrix).tolist()))
    return joined


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    pack(Path(os.environ.get("FLYONCE_DATA", "../shared/data")), parser.parse_args().out)


if __name__ == "__main__":
    main()
