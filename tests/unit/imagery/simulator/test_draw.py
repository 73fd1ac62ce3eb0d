"""Two dates in memory: the same bytes again, changes where truth has them, and the nuisances that must not count."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from rasterio.features import rasterize
from shapely import affinity
from shapely.geometry import Polygon

from imagery.simulator.canvas import View
from imagery.simulator.days import two_days
from imagery.simulator.scene import lay_out
from imagery.simulator.simulate import Drawn, draw, render, truth_of
from imagery.simulator.warp import LARGEST, displace, misregister

GSD = 0.1


def mask(polygon: Polygon, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    pixels = affinity.scale(polygon, 1 / GSD, 1 / GSD, origin=(0, 0))
    return np.asarray(rasterize([pixels], out_shape=shape).astype(bool))


def inside(drawn: Drawn, polygon: Polygon) -> NDArray[np.bool_]:
    return mask(polygon, drawn.before.shape[1:])


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return draw(4, GSD)


def test_the_same_seed_gives_the_same_bytes(drawn: Drawn) -> None:
    again = draw(4, GSD)
    assert again.before.tobytes() == drawn.before.tobytes()
    assert again.after.tobytes() == drawn.after.tobytes()
    assert again.truth == drawn.truth
    assert draw(5, GSD).before.tobytes() != drawn.before.tobytes()


def test_the_picture_covers_the_ground_asked_for() -> None:
    small = draw(1, 0.2, (60.0, 45.0))
    assert small.before.shape == small.after.shape == (3, 225, 300)
    assert small.before.dtype == np.uint8
    assert small.changes


@pytest.mark.parametrize(("gsd", "size"), [(0.001, (120.0, 90.0)), (5.0, (120.0, 90.0)), (0.1, (10.0, 90.0))])
def test_what_cannot_be_drawn_is_refused(gsd: float, size: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="cannot be drawn"):
        draw(1, gsd, size)


def test_the_same_scene_is_seen_at_every_gsd(drawn: Drawn) -> None:
    coarse = draw(4, 0.3)
    assert coarse.truth == drawn.truth
    fine = drawn.before.reshape(3, 300, 3, 400, 3).mean(axis=(2, 4))
    apart = np.abs(fine - coarse.before).mean()
    assert apart < 12
    assert np.corrcoef(fine.mean(axis=0).ravel(), coarse.before.mean(axis=0).ravel())[0, 1] > 0.9


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_in_equal_light_only_the_truth_and_the_cars_differ(seed: int) -> None:
    scene, day = lay_out(seed), two_days(seed)[0]
    first, second = render(scene, View(0.0, 0.0, GSD, 900, 1200), (day, day))
    apart = np.abs(first.astype(int) - second).max(axis=2)
    reach = 1.2 / math.tan(math.radians(day.elevation))

    def near(polygon: Polygon, height: float) -> NDArray[np.bool_]:
        return mask(polygon.buffer(1.5 + height * reach), apart.shape)

    allowed = np.zeros(apart.shape, dtype=bool)
    for one in truth_of(scene):
        if one.change != "unchanged":
            allowed |= near(one.polygon, one.height if one.kind != "roof" else 16.0)
            assert np.median(apart[mask(one.polygon, apart.shape)]) >= 2, f"{one.style} cannot be seen"
    for car in scene.cars:
        if car.before != car.after:
            allowed |= near(car.polygon, car.height)
    assert apart[~allowed].max() <= 6  # the light from the sky is dimmed softly, some metres around what stands high
    assert allowed.mean() < 0.7


def test_appeared_heaps_are_there_only_afterwards(drawn: Drawn) -> None:
    before, after = set(map(id, drawn.objects_before)), set(map(id, drawn.objects_after))
    for thing in {*drawn.objects_before, *drawn.objects_after}:
        assert (id(thing) in before, id(thing) in after) == (thing.before, thing.after)
    assert {one.change for one in drawn.changes} == {"appeared", "disappeared", "altered"}


def test_light_and_cars_change_where_nothing_that_counts_does(drawn: Drawn) -> None:
    first, second = drawn.days
    assert (first.azimuth, first.elevation, first.exposure) != (second.azimuth, second.elevation, second.exposure)
    moved = [thing for thing in drawn.objects_before if thing.kind == "car" and not thing.after]
    assert moved
    assert not any(one.kind == "car" for one in drawn.truth)
    apart = np.abs(drawn.before.astype(int) - drawn.after.astype(int)).mean(axis=0)
    seen = [apart[inside(drawn, car.polygon)].mean() for car in moved if inside(drawn, car.polygon).sum() > 50]
    assert np.median(seen) > 2 * np.median(apart)


@pytest.mark.parametrize("seed", range(12))
def test_the_registration_error_stays_within_six_pixels(seed: int) -> None:
    x, y = np.meshgrid(np.linspace(0, 120, 61), np.linspace(0, 90, 46))
    size = np.hypot(*misregister(seed, 120, 90, 0.03).offset(x, y)) / 0.03
    assert 0 < size.max() <= LARGEST + 1e-9
    assert size.std() > 0, "not the same everywhere: a local warp is part of it"


def test_registration_errors_differ_in_size() -> None:
    sizes = [np.hypot(*misregister(seed, 120, 90, 0.03).shift) / 0.03 for seed in range(30)]
    assert min(sizes) < 1.5
    assert max(sizes) > 3.5


def test_the_ground_is_shown_beside_itself_by_the_offset() -> None:
    """A bright spot is drawn where `offset` says it goes."""
    view, target = View(-2.0, -2.0, 0.1, 490, 640), View(0.0, 0.0, 0.1, 450, 600)
    registration = misregister(3, 60, 45, 0.1)
    for x, y in ((10.05, 8.05), (30.05, 22.05), (52.05, 40.05)):
        picture = np.zeros((490, 640, 3), dtype=np.uint8)
        column, row = round((x + 2) / 0.1 - 0.5), round((y + 2) / 0.1 - 0.5)
        picture[row - 2 : row + 3, column - 2 : column + 3] = 250
        shown = displace(picture, view, registration, target)[..., 0].astype(float)
        rows, columns = np.indices(shown.shape)
        at = ((columns + 0.5) * shown).sum() / shown.sum() * 0.1, ((rows + 0.5) * shown).sum() / shown.sum() * 0.1
        dx, dy = registration.offset(np.array([x]), np.array([y]))
        assert at == (pytest.approx(x + dx[0], abs=0.02), pytest.approx(y + dy[0], abs=0.02))
