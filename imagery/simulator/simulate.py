"""The simulator: one block on two dates, in memory (`draw`) or as files that a flight would leave (`simulate`)."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from shapely.geometry import Polygon, mapping

from imagery.errors import Refused
from imagery.simulator.canvas import View
from imagery.simulator.days import Day, two_days
from imagery.simulator.filming import film
from imagery.simulator.flights import PLAIN, describe, fly, write_photos
from imagery.simulator.light import Picture, develop, expose
from imagery.simulator.options import Hills, Options, hills
from imagery.simulator.paint import paint_date, paint_ground
from imagery.simulator.place import CRS, GROUND, Place, area_m2, place
from imagery.simulator.scene import lay_out
from imagery.simulator.tags import SOFTWARE
from imagery.simulator.values import Change, Kind, Scene, Thing, stream
from imagery.simulator.warp import Registration, displace, misregister

GSD = 0.03
SIZE = (120.0, 90.0)
"""Metres of visible ground, width and height."""
EDGE = 0.3
"""Metres drawn beyond the visible ground, so that a displaced orthophoto has no empty border."""


@dataclass(frozen=True, slots=True)
class Truth:
    """One thing that changed, or that stayed and must not be reported. `polygon`: scene metres."""

    polygon: Polygon
    kind: Kind
    change: Change
    area: float
    """Square metres on the plane of the scene."""
    height: float
    style: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """Simulated orthophotos of two dates over the same grid.

    `before`, `after`: uint8 [3, H, W], RGB; pixel (col, row) covers scene x in [col, col + 1) * gsd and y (down) in
    [row, row + 1) * gsd. `after` is drawn with its registration error: what stands at a point p is shown at
    p + registration.offset(p). Truth is in scene metres and true to `before`.
    """

    seed: int
    gsd: float
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    objects_before: tuple[Thing, ...]
    """Heaps, material, debris and cars that are there on the first date."""
    objects_after: tuple[Thing, ...]
    truth: tuple[Truth, ...]
    registration: Registration
    days: tuple[Day, Day]

    @property
    def changes(self) -> tuple[Truth, ...]:
        """What appeared, disappeared or was altered; cars and light are no changes."""
        return tuple(one for one in self.truth if one.change != "unchanged")


def truth_of(scene: Scene) -> tuple[Truth, ...]:
    """What a perfect observer would tell of the two dates."""
    found = [
        Truth(thing.polygon, thing.kind, thing.change, thing.polygon.area, thing.height, thing.style)
        for thing in scene.things
    ]
    found += [
        Truth(building.changed, "roof", "altered", building.changed.area, building.height, "roof")
        for building in scene.buildings
        if building.changed is not None
    ]
    return tuple(found)


def draw(seed: int, gsd: float = GSD, size_m: tuple[float, float] = SIZE) -> Drawn:
    """Draw a block of `size_m` (width, height) metres on both dates.

    The same seed and size show the same scene at every GSD; on one machine the same arguments give the same bytes.
    Raises ValueError where a size is too small for a crossing with its parcels or the GSD is not a drone's.
    """
    width, height = size_m
    _check(size_m, gsd)
    scene = lay_out(seed, width, height)
    cols, rows = round(width / gsd), round(height / gsd)
    pad = math.ceil(EDGE / gsd) + 8
    view = View(-pad * gsd, -pad * gsd, gsd, rows + 2 * pad, cols + 2 * pad)
    days = two_days(seed)
    registration = misregister(seed, width, height, gsd)
    first, second = render(scene, view, days)
    before = develop(first[pad : pad + rows, pad : pad + cols], gsd, days[0], stream(seed, "sensor", "before"))
    moved = displace(second, view, registration, View(0.0, 0.0, gsd, rows, cols))
    after = develop(moved, gsd, days[1], stream(seed, "sensor", "after"))
    seen = (*scene.things, *scene.cars)
    return Drawn(
        seed, gsd,
        np.ascontiguousarray(before.transpose(2, 0, 1)), np.ascontiguousarray(after.transpose(2, 0, 1)),
        tuple(thing for thing in seen if thing.before), tuple(thing for thing in seen if thing.after),
        truth_of(scene), registration, days,
    )  # fmt: skip


def _check(size_m: tuple[float, float], gsd: float) -> None:
    if min(size_m) < 30 or max(size_m) > 400:
        raise ValueError(f"a block of {size_m[0]} x {size_m[1]} m cannot be drawn: each side must be 30 to 400 m")
    if not 0.01 <= gsd <= 1:
        raise ValueError(f"a GSD of {gsd} m cannot be drawn: it must be 0.01 to 1 m")


def render(scene: Scene, view: View, days: tuple[Day, Day]) -> tuple[Picture, Picture]:
    """The ground of both dates as a perfect lens sees it from straight above, uint8 [rows, cols, 3] each."""
    ground = paint_ground(scene, view)
    first = expose(paint_date(ground.copy(), scene, after=False, leaves=days[0].leaves), days[0])
    second = expose(paint_date(ground, scene, after=True, leaves=days[1].leaves), days[1])
    return first, second


Progress = Callable[[str, int, int], None]
"""Called with what was done last, and how many of how many steps are done."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """What `simulate` wrote. The first of each pair is `before`."""

    folder: Path
    seed: int
    orthophotos: tuple[Path, Path]
    photos: tuple[tuple[Path, ...], tuple[Path, ...]]
    taken: tuple[datetime, datetime]
    truth: Path
    poses: Path
    changes: int
    """Features in `truth` that changed."""


def simulate(
    out: Path,
    seed: int,
    on_progress: Progress | None = None,
    size_m: tuple[float, float] = SIZE,
    *,
    with_photos: bool = True,
    options: Options = PLAIN,
) -> Simulation:
    """Write two simulated flights over one block into `out`.

    `before/` and `after/` each hold `orthophoto.tif` (EPSG:4547, 0.03 m, the second with a registration error of up to
    six pixels and an extent of its own) and `photos/` (nadir JPEGs with EXIF and DJI's XMP). `truth.geojson` (in
    EPSG:4326) tells what changed and what stayed, `poses.json` the exact cameras. The same seed gives the same bytes on
    one machine. `with_photos=False` leaves the photos out, for whoever needs orthophotos alone. `options` change the
    photos: oblique, through a lens that bends, over hills (then `dem.tif` holds them). Raises Refused where `out` is
    not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Refused("not-empty", f"{out} is not an empty folder.", "Name a new folder: nothing is overwritten.")
    width, height = size_m
    _check(size_m, GSD)
    scene, days, origin = lay_out(seed, width, height), two_days(seed), place(seed)
    registration = misregister(seed, width, height, GSD)
    dates = zip(("before", "after"), days, strict=True)
    ground = hills(seed, options.relief) if options.relief else None
    flights = [fly(seed, name, width, height, day, options, ground) if with_photos else () for name, day in dates]
    steps, done = 3 + len(flights[0]) + len(flights[1]), count(1)

    def tell(what: str) -> None:
        if on_progress is not None:
            on_progress(what, next(done), steps)

    seen = [pose.corners() for flight in flights for pose in flight] if options.plain else []
    reach = np.concatenate([np.zeros((1, 2)), *seen])
    pad = math.ceil(max(-reach.min(), *(reach.max(axis=0) - size_m), EDGE) / GSD) + 8
    cols, rows = round(width / GSD), round(height / GSD)
    view = View(-pad * GSD, -pad * GSD, GSD, rows + 2 * pad, cols + 2 * pad)
    worlds = render(scene, view, days)
    photo_view, photo_worlds = view, worlds
    if with_photos and not options.plain:
        photo_view = _around(scene)
        photo_worlds = render(scene, photo_view, days)
    tell("the block on both dates")

    frames = View(0.0, 0.0, GSD, rows, cols), _frame(seed, width, height)
    pictures = worlds[0][pad : pad + rows, pad : pad + cols], displace(worlds[1], view, registration, frames[1])
    orthophotos: list[Path] = []
    photos: list[tuple[Path, ...]] = []
    for i, name in enumerate(("before", "after")):
        folder = out / name
        folder.mkdir(parents=True)
        picture = develop(pictures[i], GSD, days[i], stream(seed, "sensor", name))
        orthophotos.append(_write_orthophoto(folder / "orthophoto.tif", picture, frames[i], origin, days[i], seed))
        tell(f"{name}/orthophoto.tif")
        one_more, taken = partial(tell, f"{name}/photos"), list[Path]()
        if with_photos:
            taken = write_photos(
                folder / "photos", seed, name, photo_worlds[i], photo_view, days[i], flights[i], origin, one_more
            )
        photos.append(tuple(taken))
    features = [_feature(number, one, origin) for number, one in enumerate(truth_of(scene), start=1)]
    mark = {"simulated": True, "seed": seed}
    truth = _write_json(out / "truth.geojson", {"type": "FeatureCollection", **mark, "features": features})
    exact = [pose for i, name in enumerate(("before", "after")) for pose in describe(name, flights[i], origin)]
    beside = registration.offset(np.array([width / 2]), np.array([height / 2]))
    document: dict[str, Any] = {
        **mark,
        "crs": CRS,
        "ground": GROUND,
        "about": "Positions and yaw are those of the CRS's grid, without the instruments' errors. The ground is flat. "
        "Pixels run from 0 to width and 0 to height, whole numbers lie between pixels.",
        "misregistration": {
            "about": "How far beside its place after/orthophoto.tif shows the ground in its middle, metres.",
            "east": float(beside[0][0]),
            "north": -float(beside[1][0]),
        },
        "photos": exact,
    }
    if options.video and with_photos:
        films = [
            film(out / name, seed, name, photo_worlds[i], photo_view, flights[i], origin)
            for i, name in enumerate(("before", "after"))
        ]
        document["videos"] = [{"file": path.relative_to(out).as_posix(), "frames": frames} for path, frames in films]
    if ground is not None:
        document["about"] = f"{document['about'].replace('The ground is flat. ', '')} The ground is that of dem.tif."
        _write_dem(out / "dem.tif", ground, origin, size_m)
    poses = _write_json(out / "poses.json", document)
    changes = sum(feature["properties"]["change"] != "unchanged" for feature in features)
    times = days[0].taken, days[1].taken
    return Simulation(out, seed, (orthophotos[0], orthophotos[1]), (photos[0], photos[1]), times, truth, poses, changes)


FAR_GSD = 0.06
"""Metres per pixel of the world that far-looking photos are cut from."""


def _around(scene: Scene) -> View:
    """A view of all the ground that is drawn; beyond it far-looking photos show haze."""
    reach = scene.margin - 0.5
    cols, rows = (math.floor((side + 2 * reach) / FAR_GSD) for side in (scene.width, scene.height))
    return View(-reach, -reach, FAR_GSD, rows, cols)


def _write_dem(path: Path, ground: Hills, origin: Place, size_m: tuple[float, float]) -> Path:
    """The heights of the hills in nodes of 1 m, 400 m around the block, metres above the sea."""
    around = 400.0
    x, y = (np.arange(-around, side + around) + 0.5 for side in size_m)
    east, north = origin.to_map(-around, -around)
    with rasterio.open(
        path, "w", driver="GTiff", width=len(x), height=len(y), count=1, dtype="float32", crs=CRS, nodata=-9999.0,
        transform=rasterio.Affine(1, 0, east, 0, -1, north), compress="deflate", predictor=3,
    ) as file:  # fmt: skip
        file.write((GROUND + ground.at(x[None, :], y[:, None])).astype(np.float32), 1)
    return path


def _frame(seed: int, width: float, height: float) -> View:
    """What the second orthophoto covers: a little less on each side, on a pixel grid of its own."""
    left, top, right, bottom = stream(seed, "frame of after").uniform(0.2, 1.6, 4)
    cols, rows = round((width - left - right) / GSD), round((height - top - bottom) / GSD)
    return View(float(left), float(top), GSD, rows, cols)


def _write_orthophoto(path: Path, picture: Picture, frame: View, origin: Place, day: Day, seed: int) -> Path:
    east, north = origin.to_map(frame.x, frame.y)
    with rasterio.open(
        path, "w", driver="GTiff", width=frame.cols, height=frame.rows, count=3, dtype="uint8", crs=CRS,
        transform=rasterio.Affine(GSD, 0, east, 0, -GSD, north), photometric="RGB", interleave="pixel",
        tiled=True, blockxsize=512, blockysize=512, compress="deflate", predictor=2,
    ) as file:  # fmt: skip
        file.write(np.ascontiguousarray(picture.transpose(2, 0, 1)))
        file.update_tags(
            TIFFTAG_IMAGEDESCRIPTION=f"simulated orthophoto by flyonce, seed {seed}",
            TIFFTAG_SOFTWARE=SOFTWARE,
            TIFFTAG_DATETIME=day.taken.strftime("%Y:%m:%d %H:%M:%S"),
            ACQUISITIONDATETIME=day.taken.isoformat(),
        )
    return path


def _feature(number: int, one: Truth, origin: Place) -> dict[str, Any]:
    outline = origin.polygon(one.polygon)
    return {
        "type": "Feature",
        "id": f"{one.kind}-{number}",
        "geometry": mapping(outline),
        "properties": {
            "class": one.kind,
            "change": one.change,
            "area_m2": round(area_m2(outline), 3),
            "height_m": round(one.height, 2),
            "style": one.style,
        },
    }


def _write_json(path: Path, document: dict[str, Any]) -> Path:
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return path
