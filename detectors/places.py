"""Frames of one site on one plane, and a line across it: folds that share no ground.

The same heap is seen in many frames, so neither frames nor polygons are independent; places are. Frames are brought
together by SIFT matches and homographies (the ground of a site is nearly flat), and a straight line then divides the
ground. Whatever lies across the line belongs to neither side.
"""

import json
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from shapely import Polygon, STRtree, transform

from detectors.debris import CLASSES
from imagery.errors import Refused

Homography = NDArray[np.float64]
"""float64 [3, 3]: (x, y, 1) in a frame's pixels to the plane, which has the pixels of the best connected frame."""
_SMALL = 1000
"""Frames are matched at this width."""
_RATIO, _RANSAC_PX, _INLIERS = 0.75, 4.0, 40


@dataclass(frozen=True, slots=True)
class Line:
    """x * cos(angle) + y * sin(angle) = offset on the plane; the positive side is the one of larger values."""

    angle: float
    offset: float

    def side(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Signed distance from the line of points [..., 2]."""
        return points[..., 0] * math.cos(self.angle) + points[..., 1] * math.sin(self.angle) - self.offset


@dataclass(frozen=True, slots=True)
class Mark:
    """One labelled polygon: in its frame's pixels and on the plane."""

    frame: str
    kind: str
    polygon: Polygon
    ground: Polygon


def register(pictures: Sequence[Path]) -> dict[str, Homography]:
    """Homography of every picture (by its name) to the plane of the one that most others match.

    Refused: `no-common-ground` where a picture matches none of the others.
    """
    features = [_features(path) for path in pictures]
    links: dict[int, dict[int, tuple[int, Homography]]] = {index: {} for index in range(len(pictures))}
    for i, j in combinations(range(len(pictures)), 2):
        found = _homography(features[i], features[j])
        if found is not None:
            inliers, forth = found
            links[i][j], links[j][i] = (inliers, forth), (inliers, inverse(forth))
    middle = max(links, key=lambda index: (sum(inliers for inliers, _ in links[index].values()), -index))
    placed: dict[int, Homography] = {middle: np.eye(3)}
    queue = deque([middle])
    while queue:  # breadth first: few homographies in a row, each over the strongest link there is
        at = queue.popleft()
        for other, (_, forth) in sorted(links[at].items(), key=lambda link: -link[1][0]):
            if other not in placed:
                placed[other] = placed[at] @ inverse(forth)
                queue.append(other)
    lost = [path.name for index, path in enumerate(pictures) if index not in placed]
    if lost:
        raise Refused(
            "no-common-ground",
            f"{', '.join(lost)} matches none of the other pictures.",
            "Leave it out, or give the pictures between it and the others too.",
        )
    return {path.name: placed[index] for index, path in enumerate(pictures)}


def marks(folder: Path, plane: Mapping[str, Homography]) -> list[Mark]:
    """The polygons of a COCO file `labels.json` beside its pictures, on the plane."""
    coco = json.loads((folder / "labels.json").read_text())
    kinds = {category["id"]: category["name"] for category in coco["categories"]}
    frames = {image["id"]: image["file_name"] for image in coco["images"]}
    found = []
    for mark in coco["annotations"]:
        frame = frames[mark["image_id"]]
        polygon = Polygon(np.reshape(mark["segmentation"][0], (-1, 2)))
        ground = transform(polygon, partial(projected, plane[frame]))
        found.append(Mark(frame, kinds[mark["category_id"]], polygon, ground))
    return found


def count_places(found: Sequence[Mark], kind: str) -> int:
    """How many different things of a kind were labelled."""
    return len(places_of(found, kind))


def places_of(found: Sequence[Mark], kind: str) -> list[list[Mark]]:
    """The marks of a kind by the thing that they show: polygons that overlap on the plane are one."""
    wanted = [mark for mark in found if mark.kind == kind]
    outlines = [mark.ground.buffer(0) for mark in wanted]
    group = list(range(len(outlines)))

    def root(index: int) -> int:
        while group[index] != index:
            index = group[index]
        return index

    for i, j in STRtree(outlines).query(outlines, predicate="intersects").T if outlines else ():
        if i < j and outlines[i].intersection(outlines[j]).area > 0.2 * min(outlines[i].area, outlines[j].area):
            group[root(int(i))] = root(int(j))
    things: dict[int, list[Mark]] = {}
    for index, mark in enumerate(wanted):
        things.setdefault(root(index), []).append(mark)
    return list(things.values())


def divide(found: Sequence[Mark]) -> Line:
    """The line, of a fixed fan of candidates, that leaves the most places of the scarcest class on either side."""
    centres = np.array([mark.ground.centroid.coords[0] for mark in found])
    best, most = Line(0.0, 0.0), (-1.0, -1.0)
    for angle in np.arange(0, math.pi, math.pi / 18):
        along = Line(float(angle), 0.0).side(centres)
        for offset in np.quantile(along, np.arange(0.2, 0.81, 0.05)):
            line = Line(float(angle), float(offset))
            counts = [
                count_places([mark for mark in found if side_of(mark, line) == side], kind)
                for side in (-1, 1)
                for kind in CLASSES
            ]
            score = float(min(counts)), float(sum(math.sqrt(count) for count in counts))
            if score > most:
                best, most = line, score
    return best


def side_of(mark: Mark, line: Line) -> int:
    """-1 or 1; 0 where the line runs through it."""
    sides = np.sign(line.side(np.asarray(mark.ground.exterior.coords)))
    return int(sides[0]) if (sides == sides[0]).all() else 0


def other_side(plane: Homography, line: Line, side: int, height: int, width: int, scale: float) -> NDArray[np.bool_]:
    """bool [H, W]: pixels of a frame, shrunk to `scale` frame pixels a pixel, that do not lie on `side` of the line."""
    y, x = np.mgrid[0:height, 0:width]
    points = np.stack((x + 0.5, y + 0.5), axis=-1).reshape(-1, 2) * scale
    away: NDArray[np.bool_] = line.side(projected(plane, points)).reshape(height, width) * side <= 0
    return away


def inverse(plane: Homography) -> Homography:
    return np.asarray(np.linalg.inv(plane), dtype=np.float64)


def projected(plane: Homography, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Frame pixels [N, 2] on the plane, [N, 2]."""
    moved = np.column_stack((points, np.ones(len(points)))) @ plane.T
    return np.asarray(moved[:, :2] / moved[:, 2:])


@dataclass(frozen=True, slots=True)
class _Features:
    points: NDArray[np.float32]
    """[N, 2], pixels of the whole frame."""
    descriptors: NDArray[np.float32]


def _features(path: Path) -> _Features:
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise Refused("unreadable-image", f"{path} cannot be read as a picture.", "Check or replace the file.")
    scale = picture.shape[1] / _SMALL
    small = cv2.resize(picture, None, fx=1 / scale, fy=1 / scale, interpolation=cv2.INTER_AREA)
    small = cv2.createCLAHE(2.0, (8, 8)).apply(small)
    points, descriptors = cv2.SIFT.create(2500).detectAndCompute(small, None)
    return _Features(
        np.array([point.pt for point in points], dtype=np.float32) * scale, np.asarray(descriptors, dtype=np.float32)
    )


def _homography(one: _Features, other: _Features) -> tuple[int, Homography] | None:
    """How many matches agree on the homography from `one` to `other`, and the homography; None for strangers."""
    pairs = cv2.BFMatcher().knnMatch(one.descriptors, other.descriptors, k=2)
    good = [first for first, second in pairs if first.distance < _RATIO * second.distance]
    if len(good) < _INLIERS:
        return None
    source = one.points[[match.queryIdx for match in good]]
    target = other.points[[match.trainIdx for match in good]]
    cv2.setRNGSeed(1)
    found, inliers = cv2.findHomography(source, target, cv2.RANSAC, _RANSAC_PX * 4)
    if found is None or int(inliers.sum()) < _INLIERS:
        return None
    return int(inliers.sum()), np.asarray(found, dtype=np.float64)
