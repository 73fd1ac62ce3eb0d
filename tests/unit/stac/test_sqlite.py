"""A catalogue: what is put in is found, in order, page by page, and nothing else.

Here the embedded one; `tests/integration/test_catalog_pgstac.py` runs the same tests on PostgreSQL.
"""

import base64
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import shapely
import shapely.geometry
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import stac.sqlite_plan
from stac.periods import within
from stac.rows import ItemRow, row_of
from stac.sqlite import SqliteCatalog
from stac.store import Item, ItemError, Query, QueryError

START = datetime(2026, 5, 1, tzinfo=UTC)


def item(
    name: str, geometry: Any = (102.7, 25.0), when: datetime = START, collection: str = "photos", **said: Any
) -> Item:
    if isinstance(geometry, tuple):
        geometry = {"type": "Point", "coordinates": list(geometry)}
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": name,
        "collection": collection,
        "geometry": geometry,
        "properties": {"datetime": when.isoformat(), **said},
        "links": [],
        "assets": {},
    }


def ids(catalog: SqliteCatalog, query: Query) -> list[str]:
    return [found["id"] for found in catalog.search(replace(query, limit=1000)).items]


def test_an_item_comes_back_as_it_was_put(catalog: SqliteCatalog) -> None:
    put = item("a", title="渣土 é 𝄞", nested={"x": [1, 2.5, None, True]}, big=2**53 + 1)
    put["assets"] = {"original": {"href": f"/assets/{'ab' * 32}/x.jpg", "roles": ["data"]}}
    catalog.put_items([put])
    assert catalog.get_item("photos", "a") == put
    assert catalog.get_item("flights", "a") is None
    assert catalog.items_of_file("ab" * 32) == [put]
    assert catalog.items_of_file("cd" * 32) == []
    assert catalog.counts()["photos"] == 1


def test_putting_again_replaces_in_every_index(catalog: SqliteCatalog) -> None:
    first = item("a", (10.0, 10.0))
    first["assets"] = {"o": {"href": f"/assets/{'ab' * 32}/x.jpg"}}
    catalog.put_items([first])
    catalog.put_items([item("a", (20.0, 20.0), START + timedelta(days=9))])
    assert ids(catalog, Query(bbox=(9, 9, 11, 11))) == []
    assert ids(catalog, Query(bbox=(19, 19, 21, 21))) == ["a"]
    assert ids(catalog, Query(end=START + timedelta(days=1))) == []
    assert catalog.items_of_file("ab" * 32) == []
    assert catalog.counts()["photos"] == 1


def test_items_are_put_all_or_none(catalog: SqliteCatalog) -> None:
    with pytest.raises(ItemError, match="no collection 'nowhere'"):
        catalog.put_items([item("a"), item("b", collection="nowhere")])
    assert catalog.counts()["photos"] == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"type": "Thing"}, "not a GeoJSON Feature"),
        ({"id": ""}, "needs an id"),
        ({"id": "a/b"}, "no slash"),
        ({"id": "x" * 201}, "at most 200"),
        ({"properties": {}}, "without a datetime"),
        ({"properties": {"datetime": "yesterday"}}, "RFC 3339"),
        ({"properties": {"datetime": "2026-02-30T00:00:00Z"}}, "does? ?n.t exist|not a date-time that exists"),
        ({"properties": {"datetime": "2026-05-01T00:00:00Z", "gsd": math.nan}}, "JSON compliant"),
        ({"geometry": {"type": "Point", "coordinates": [200, 0]}}, "outside longitude"),
        ({"geometry": {"type": "Point", "coordinates": [math.nan, 0]}}, "outside longitude|JSON compliant|empty"),
        (
            {"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}},
            "not a valid Polygon",
        ),
        ({"geometry": {"type": "Blob", "coordinates": []}}, "not a GeoJSON geometry"),
        ({"geometry": {"type": "Polygon", "coordinates": []}}, "empty"),
        ({"assets": None}, "assets"),
    ],
)
def test_a_broken_item_is_refused_by_name(catalog: SqliteCatalog, change: dict[str, Any], words: str) -> None:
    with pytest.raises(ItemError, match=words):
        catalog.put_items([{**item("a"), **change}])
    assert catalog.counts()["photos"] == 0


def test_a_collection_says_what_its_items_cover(catalog: SqliteCatalog) -> None:
    catalog.put_items([item("a", (1.0, 2.0)), item("b", (3.0, -4.0), START + timedelta(days=2)), item("c", None)])
    found = catalog.get_collection("photos")
    assert found is not None
    assert found["extent"]["spatial"] == {"bbox": [[1.0, -4.0, 3.0, 2.0]]}
    assert found["extent"]["temporal"] == {"interval": [["2026-05-01T00:00:00Z", "2026-05-03T00:00:00Z"]]}
    empty = catalog.get_collection("flights")
    assert empty is not None
    assert empty["extent"]["temporal"] == {"interval": [[None, None]]}
    catalog.put_collection({**found, "title": "new"})
    again = catalog.get_collection("photos")
    assert again is not None
    assert (again["title"], again["extent"]) == ("new", found["extent"])
    assert catalog.get_collection("nowhere") is None
    with pytest.raises(ItemError):
        catalog.put_collection({"type": "Catalog", "id": "x"})


degrees = st.integers(-1800, 1800).map(lambda tenths: tenths / 10)
latitudes = st.integers(-900, 900).map(lambda tenths: tenths / 10)


@st.composite
def boxes(draw: st.DrawFn) -> tuple[float, float, float, float]:
    south, north = sorted((draw(latitudes), draw(latitudes)))
    return draw(degrees), south, draw(degrees), north


@st.composite
def shapes(draw: st.DrawFn) -> dict[str, Any]:
    lon, lat = draw(st.integers(-179, 178)), draw(st.integers(-89, 88))
    if draw(st.booleans()):
        return {"type": "Point", "coordinates": [lon, lat]}
    far = draw(st.integers(1, min(60, 179 - lon)))
    up = draw(st.integers(1, min(40, 89 - lat)))
    return {"type": "Polygon", "coordinates": [[[lon, lat], [lon + far, lat + up], [lon, lat + up], [lon, lat]]]}


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=st.lists(shapes(), min_size=1, max_size=12), box=boxes(), selective=st.sampled_from([0, 3, 2000]))
def test_a_box_finds_the_geometries_that_meet_it(
    catalog: SqliteCatalog, found: list[dict[str, Any]], box: tuple[float, float, float, float], selective: int
) -> None:
    """Whichever way the search goes (R*Tree or index), whether or not the box crosses the antimeridian."""
    clear(catalog)
    catalog.put_items([item(f"{number:02}", shape) for number, shape in enumerate(found)])
    west, south, east, north = box
    parts = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    meets = [
        f"{number:02}"
        for number, shape in enumerate(found)
        if any(shapely.geometry.shape(shape).intersects(rectangle(w, south, e, north)) for w, e in parts)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stac.sqlite_plan, "SELECTIVE", selective)
        assert sorted(ids(catalog, Query(bbox=box))) == meets


def rectangle(west: float, south: float, east: float, north: float) -> Any:
    return shapely.MultiPoint([(west, south), (east, north)]).envelope


def test_the_float32_of_the_tree_never_decides(catalog: SqliteCatalog) -> None:
    """Neighbours in float64 that are one number in float32: a metre of longitude holds about 3 000 of the former."""
    lon = 102.7000001
    catalog.put_items([item("a", (lon, 25.0))])
    above = math.nextafter(lon, 180)
    assert ids(catalog, Query(bbox=(lon, 24.9, lon, 25.1))) == ["a"]
    assert ids(catalog, Query(bbox=(above, 24.9, 103.0, 25.1))) == []
    assert ids(catalog, Query(bbox=(102.0, 24.9, math.nextafter(lon, 0), 25.1))) == []


def test_an_item_across_the_antimeridian_is_found_from_both_sides(catalog: SqliteCatalog) -> None:
    halves = (
        [[[179, 0], [180, 0], [180, 1], [179, 1], [179, 0]]],
        [[[-180, 0], [-179, 0], [-179, 1], [-180, 1], [-180, 0]]],
    )
    crossing = item("x", {"type": "MultiPolygon", "coordinates": list(halves)})
    crossing["bbox"] = [179, 0, -179, 1]
    catalog.put_items([crossing])
    for box in ((179.2, 0, 179.4, 1), (-179.4, 0, -179.2, 1), (178, 0, -178, 1), (-180, -90, 180, 90)):
        assert ids(catalog, Query(bbox=box)) == ["x"], box
    for box in ((0, 0, 10, 1), (-178.9, 0, 178.9, 1), (179.2, 2, -179.2, 3)):
        assert ids(catalog, Query(bbox=box)) == [], box
    extent = catalog.get_collection("photos")
    assert extent is not None
    assert extent["extent"]["spatial"]["bbox"] == [[-180, 0, 180, 1]]


def test_a_geometry_is_searched_exactly_and_items_without_one_are_not_found(catalog: SqliteCatalog) -> None:
    triangle = {"type": "Polygon", "coordinates": [[[0, 0], [10, 0], [0, 10], [0, 0]]]}
    catalog.put_items([item("in", (2.0, 2.0)), item("beside", (9.0, 9.0)), item("none", None)])
    assert ids(catalog, Query(intersects=triangle)) == ["in"]
    assert sorted(ids(catalog, Query())) == ["beside", "in", "none"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    spans=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), min_size=1, max_size=10),
    asked=st.tuples(st.integers(-1, 14), st.integers(0, 5)),
    ends=st.sampled_from(["both", "start", "end"]),
)
def test_an_interval_finds_what_overlaps_it(
    catalog: SqliteCatalog, spans: list[tuple[int, int]], asked: tuple[int, int], ends: str
) -> None:
    clear(catalog)
    at = [(START + timedelta(hours=first), START + timedelta(hours=first + length)) for first, length in spans]
    catalog.put_items(
        [
            {
                **item(f"{n:02}"),
                "properties": {"datetime": None, "start_datetime": str_of(a), "end_datetime": str_of(b)},
            }
            for n, (a, b) in enumerate(at)
        ]
    )
    start, end = START + timedelta(hours=asked[0]), START + timedelta(hours=sum(asked))
    query = Query(start=None if ends == "end" else start, end=None if ends == "start" else end)
    overlaps = [
        f"{n:02}"
        for n, (a, b) in enumerate(at)
        if (query.start is None or b >= query.start) and (query.end is None or a <= query.end)
    ]
    assert sorted(ids(catalog, query)) == overlaps


def str_of(moment: datetime) -> str:
    return moment.isoformat()


def test_collections_and_ids_narrow_a_search(catalog: SqliteCatalog) -> None:
    catalog.put_items([item("a"), item("b"), item("a", collection="flights")])
    assert sorted(ids(catalog, Query(ids=("a",)))) == ["a", "a"]
    assert ids(catalog, Query(ids=("a",), collections=("flights",))) == ["a"]
    assert ids(catalog, Query(collections=("models",))) == []


values = st.one_of(st.none(), st.integers(-2, 2), st.sampled_from([0.5, 1e300, "a", "b", "é", True, [1], "x'y"]))
sorts = st.lists(
    st.tuples(st.sampled_from(["v", "w", "properties.v", "datetime", "id", "collection", "absent"]), st.booleans()),
    max_size=3,
)


def clear(catalog: SqliteCatalog) -> None:
    with catalog._engine.begin() as conn:
        conn.exec_driver_sql(f"DELETE FROM {'catalog_items' if conn.dialect.name == 'sqlite' else 'pgstac.items'}")


def fill(catalog: SqliteCatalog, found: list[tuple[Any, Any, int]]) -> None:
    clear(catalog)
    catalog.put_items(
        [
            item(
                f"{number:02}",
                when=START + timedelta(hours=hour),
                collection=("photos", "flights")[number % 2],
                **{name: value for name, value in (("v", v), ("w", w)) if value is not None or number % 3},
            )
            for number, (v, w, hour) in enumerate(found)
        ]
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    found=st.lists(st.tuples(values, values, st.integers(0, 2)), min_size=1, max_size=14),
    sort=sorts,
    limit=st.integers(1, 5),
)
def test_pages_visit_each_item_once_in_order_there_and_back(
    catalog: SqliteCatalog, found: list[tuple[Any, Any, int]], sort: list[tuple[str, bool]], limit: int
) -> None:
    fill(catalog, found)
    query = Query(sort=tuple(sort), limit=limit)
    whole = [one["id"] for one in catalog.search(replace(query, limit=1000)).items]
    assert sorted(whole) == [f"{number:02}" for number in range(len(found))]
    pages = [catalog.search(query)]
    while pages[-1].next is not None:
        pages.append(catalog.search(replace(query, token=pages[-1].next)))
    assert [one["id"] for page in pages for one in page.items] == whole
    assert [len(page.items) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert pages[0].prev is None
    assert pages[-1].items
    for page, before in zip(reversed(pages), reversed(pages[:-1]), strict=False):
        back = catalog.search(replace(query, token=page.prev))
        assert [one["id"] for one in back.items] == [one["id"] for one in before.items]
        assert (back.prev is None) == (before is pages[0])


@pytest.mark.parametrize("descending", [False, True])
def test_a_sort_puts_items_without_the_property_last(catalog: SqliteCatalog, descending: bool) -> None:
    fill(catalog, [(2, None, 0), (None, None, 0), (1, None, 0), (0.5, None, 0)])
    order = [one["id"] for one in catalog.search(Query(sort=(("v", descending),))).items]
    assert order == (["00", "02", "03", "01"] if descending else ["03", "02", "00", "01"])


def test_the_newest_come_first_by_default(catalog: SqliteCatalog) -> None:
    fill(catalog, [(None, None, 0), (None, None, 2), (None, None, 1)])
    page = catalog.search(Query())
    assert [one["id"] for one in page.items] == ["01", "02", "00"]
    assert page.matched == 3


def test_a_page_is_not_moved_by_what_comes_before_it(catalog: SqliteCatalog) -> None:
    fill(catalog, [(None, None, hour) for hour in range(6)])
    first = catalog.search(Query(limit=2))
    catalog.put_items([item("new", when=START + timedelta(hours=100))])
    second = catalog.search(Query(limit=2, token=first.next))
    assert [one["id"] for one in (*first.items, *second.items)] == ["05", "04", "03", "02"]


def encoded(body: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(body).encode()).decode().rstrip("=")


def test_a_token_of_another_search_or_made_up_is_refused(catalog: SqliteCatalog) -> None:
    fill(catalog, [(None, None, hour) for hour in range(3)])
    token = catalog.search(Query(limit=1)).next
    assert token is not None
    body = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    wrong = [
        "",
        "zzz",
        "é",
        "\x00",
        "A" * 10_000,
        encoded([]),
        encoded({}),
        encoded(["00000000", *body[1:]]),
        encoded([body[0], 2, *body[2:]]),
        encoded(body[:-1]),
        encoded([*body[:2], None, *body[3:]]),
        encoded([*body[:2], [1], *body[3:]]),
        encoded([*body[:2], 2**70, *body[3:]]),
        encoded([*body[:2], math.inf, *body[3:]]),
        base64.urlsafe_b64encode(b"[" * 5000).decode(),
    ]
    for text in wrong:
        with pytest.raises(QueryError) as refused:
            catalog.search(Query(limit=1, token=text))
        assert refused.value.field == "token"
    with pytest.raises(QueryError):
        catalog.search(Query(limit=1, sort=(("id", False),), token=token))


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (Query(bbox=(0, 10, 1, 5)), "bbox"),
        (Query(bbox=(0, 0, 181, 5)), "bbox"),
        (Query(bbox=(0, 0, math.nan, 5)), "bbox"),
        (Query(bbox=(0, 0, 1)), "bbox"),  # type: ignore[arg-type]
        (Query(bbox=(0, 0, 1, 1), intersects={"type": "Point", "coordinates": [0, 0]}), "bbox"),
        (Query(intersects={"type": "Point"}), "intersects"),
        (Query(sort=(('x"; DROP TABLE catalog_items', False),)), "sortby"),
        (Query(sort=(("a", False),) * 9), "sortby"),
        (Query(limit=0), "limit"),
        (Query(limit=10_001), "limit"),
        (Query(filter={"op": "nonsense", "args": []}), "filter"),
    ],
)
def test_a_bad_query_is_refused_on_its_field(catalog: SqliteCatalog, query: Query, field: str) -> None:
    with pytest.raises(QueryError) as refused:
        catalog.search(query)
    assert refused.value.field == field


def test_hostile_words_find_nothing_and_harm_nothing(catalog: SqliteCatalog) -> None:
    catalog.put_items([item("a")])
    hostile = "x'; DROP TABLE catalog_items; --"
    assert ids(catalog, Query(ids=(hostile,), collections=(hostile,))) == []
    assert ids(catalog, Query(sort=((hostile, False),))) == ["a"]
    assert catalog.counts()["photos"] == 1


def test_every_query_uses_an_index(catalog: SqliteCatalog) -> None:
    """What a page of the newest items costs must not grow with the catalogue."""
    plans = []

    def explain(statement: str, params: Any) -> None:
        with catalog._engine.connect() as conn:
            plans.extend(str(row[3]) for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", params))

    watch(catalog, explain, Query(limit=5))
    watch(catalog, explain, Query(limit=5, collections=("photos",)))
    watch(catalog, explain, Query(limit=5, token=token_of(catalog)))
    assert plans
    assert not [plan for plan in plans if "TEMP B-TREE" in plan]
    assert all("USING" in plan for plan in plans if "catalog_items" in plan)


def token_of(catalog: SqliteCatalog) -> str:
    fill(catalog, [(None, None, hour) for hour in range(3)])
    token = catalog.search(Query(limit=1)).next
    assert token is not None
    return token


def watch(catalog: SqliteCatalog, explain: Callable[[str, Any], None], query: Query) -> None:
    from sqlalchemy import event

    seen: list[tuple[str, Any]] = []

    def keep(conn: Any, cursor: Any, statement: str, params: Any, context: Any, many: bool) -> None:
        if "AS k0" in statement:
            seen.append((statement, params))

    event.listen(catalog._engine, "before_cursor_execute", keep)
    try:
        catalog.search(query)
    finally:
        event.remove(catalog._engine, "before_cursor_execute", keep)
    for statement, params in seen:
        explain(statement, params)


def test_conditions_that_leave_few_together_are_followed_together(
    catalog: SqliteCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stac.sqlite_plan, "SELECTIVE", 3)
    said = [{"flyonce:department": "a" if n % 2 else "b", "gsd": float(n % 4)} for n in range(40)]
    catalog.put_items([item(f"{n:02}", **one) for n, one in enumerate(said)])
    counted: list[str] = []
    monkeypatch.setattr(stac.sqlite_plan, "_count", lambda conn, rows: count(conn, rows, counted))
    both = {"op": "and", "args": [among("flyonce:department", "a"), among("gsd", 2.0)]}
    assert ids(catalog, Query(filter=both)) == []
    assert [text.count("p_") for text in counted] == [1, 1, 2]
    assert (
        len(ids(catalog, Query(filter={"op": "and", "args": [among("flyonce:department", "b"), both["args"][1]]})))
        == 10
    )


count_rows = stac.sqlite_plan._count


def count(conn: Any, rows: Any, seen: list[str]) -> int:
    seen.append(rows.text)
    return count_rows(conn, rows)


def among(name: str, value: str | float) -> dict[str, Any]:
    return {"op": "=", "args": [{"property": name}, value]}


MANY = 6_000  # enough that a load makes the indexes anew


@pytest.mark.parametrize("before", [0, 10])
def test_a_load_of_many_is_found_as_one_item_is(catalog: SqliteCatalog, before: int) -> None:
    catalog.put_items([item(f"early {n}", (10.0, 10.0), title="early") for n in range(before)])
    indexes = indexes_of(catalog)
    rows = (row_of(item(f"{n:05}", when=START + timedelta(minutes=n), title=f"one {n}")) for n in range(MANY))
    assert catalog.load(rows) == MANY
    assert indexes_of(catalog) == indexes
    assert catalog.faults() == []
    assert catalog.counts()["photos"] == MANY + before
    assert [found["id"] for found in catalog.search(Query(limit=2)).items] == ["05999", "05998"]
    assert ids(catalog, Query(filter=among("title", "one 4711"))) == ["04711"]
    assert ids(catalog, Query(words=("one 4711",))) == ["04711"]
    assert len(ids(catalog, Query(bbox=(9, 9, 11, 11)))) == before
    assert catalog.load([row_of(item("04711", title="two"))]) == 1
    assert ids(catalog, Query(filter=among("title", "one 4711"))) == []


def test_a_load_that_fails_leaves_the_catalogue_as_it_was(catalog: SqliteCatalog) -> None:
    indexes = indexes_of(catalog)

    def rows() -> Iterator[ItemRow]:
        yield from (row_of(item(f"{n:05}")) for n in range(MANY))
        raise ItemError("no more")

    with pytest.raises(ItemError, match="no more"):
        catalog.load(rows())
    assert indexes_of(catalog) == indexes
    assert catalog.counts()["photos"] == 0
    assert catalog.faults() == []


def indexes_of(catalog: SqliteCatalog) -> set[tuple[str, str]]:
    made = {
        "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'catalog_items'",
        "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'items'",
    }
    with catalog._engine.connect() as conn:
        return {tuple(row) for row in conn.exec_driver_sql(made[catalog._engine.dialect.name])}


def test_an_item_is_changed_or_removed_with_nothing_between(catalog: SqliteCatalog) -> None:
    put = item("a")
    put["assets"] = {"o": {"href": f"/assets/{'ab' * 32}/x.jpg"}}
    catalog.put_items([put])
    changed = catalog.change_item("photos", "a", lambda found: {**(found or {}), "links": [{"href": "x"}]})
    assert changed is not None
    assert catalog.get_item("photos", "a") == changed
    with pytest.raises(ItemError, match="can change"):
        catalog.change_item("photos", "a", lambda found: {**(found or {}), "id": "b"})
    assert catalog.change_item("photos", "a", lambda found: None) is None
    assert catalog.get_item("photos", "a") is None
    assert ids(catalog, Query(bbox=(-180, -90, 180, 90))) == []
    assert catalog.items_of_file("ab" * 32) == []
    assert catalog.change_item("photos", "a", lambda found: found) is None


MOMENTS = st.datetimes(timezones=st.just(UTC)) | st.sampled_from(
    [START, datetime(1969, 12, 31, 23, 59, 59, 500_000, UTC), datetime(1, 1, 1, tzinfo=UTC)]
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(moments=st.lists(MOMENTS, min_size=1, max_size=6))
def test_every_item_is_in_one_month_and_one_day(catalog: SqliteCatalog, moments: list[datetime]) -> None:
    catalog.put_items([item(f"{n}", when=moment) for n, moment in enumerate(moments)])
    named = tuple(f"{n}" for n in range(len(moments)))
    for name, letters in (("datetime_frequency", 7), ("datetime_day_frequency", 10)):
        (found,) = catalog.aggregate(Query(ids=named), [name])
        periods = [bucket.key[:letters] for bucket in found.buckets or ()]
        assert periods == sorted({moment.isoformat()[:letters] for moment in moments})
        inside = [ids(catalog, Query(ids=named, filter=within(period))) for period in periods]
        assert sorted(one for some in inside for one in some) == sorted(named)
