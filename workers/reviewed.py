"""What reviewers decided, as labels to learn from: approved is the class, rejected looks like it and is not.

Of a capture only what was reviewed is known; the rest of it is neither found nor clean.
"""

from collections.abc import Iterable

import shapely
from shapely import Polygon
from shapely.geometry import shape

from detectors.labels import REJECTED, Labelled, Labels, Left, Shape, in_pixels
from imagery.errors import Refused
from imagery.mosaic import Mosaic
from records.engine import transaction
from tickets import store
from tickets.states import State
from tickets.values import Event, Sighting
from workers.captures import Captured, open_captured
from workers.home import Home
from workers.propose import captures_of, findings_of

WRONG = (State.REJECTED,)
UNDECIDED = (State.CANDIDATE, State.MERGED, State.WITHDRAWN)
"""Of which nothing can be learned: what was withdrawn may have been there."""
MOST = 100_000


def reviewed(home: Home, classes: Iterable[str]) -> Labels:
    """Every reviewed event of these classes, outlined in the captures that it was seen in.

    A capture whose file is gone, and findings of a run that is gone, are left out and named. Raises `Refused`:
    nothing-reviewed.
    """
    wanted = set(classes)
    with transaction(home.engine) as conn:
        decided = [state for state in State if state not in UNDECIDED]
        events = [one for one in store.find(conn, decided, sorted(wanted), MOST) if one.class_ in wanted]
        seen = [(event, sighting) for event in events for sighting in store.sightings_of(conn, event.id)]
    if not seen:
        raise Refused(
            "nothing-reviewed",
            f"No event of {', '.join(sorted(wanted))} was approved or rejected.",
            "Review candidates first: flyonce review list.",
        )
    out = Labels()
    by_run: dict[str, list[tuple[Event, Sighting]]] = {}
    for event, sighting in seen:
        by_run.setdefault(sighting.run, []).append((event, sighting))
    shapes: dict[str, tuple[Captured, list[Shape]]] = {}
    for run, pairs in sorted(by_run.items()):
        try:
            _outlines(home, run, pairs, shapes)
        except Refused as refused:
            out.left += [Left(run, _number(sighting), refused.reason, refused.message) for _, sighting in pairs]
    for name, (captured, drawn) in sorted(shapes.items()):
        source = captured.input.source
        place = str(captured.item["properties"].get("flyonce:flight", name))
        out.pictures.append(
            Labelled(
                captured.path, captured.sha256, captured.input.gsd, source.width, source.height, place, tuple(drawn),
                whole=False,
            )
        )  # fmt: skip
    return out


def _outlines(
    home: Home, run: str, pairs: list[tuple[Event, Sighting]], into: dict[str, tuple[Captured, list[Shape]]]
) -> None:
    collection, _, name = run.partition("/")
    item = home.catalog.get_item(collection, name)
    if item is None:
        raise Refused("no-such-item", f"The catalogue has no {run}.", "Detect again.")
    capture = captures_of(item)[-1]
    if capture not in into:
        into[capture] = open_captured(home, capture), []
    captured, drawn = into[capture]
    found = findings_of(home, item)
    for event, sighting in pairs:
        outline = shape(found[_number(sighting) - 1]["geometry"])
        kind = REJECTED if event.state in WRONG else event.class_
        for part in shapely.get_parts(outline):
            if isinstance(part, Polygon):
                drawn.append(Shape(kind, _placed(part, captured), event.id))


def _placed(outline: Polygon, captured: Captured) -> Polygon:
    """In pixels of what was read."""
    source = captured.input.source
    if captured.input.pixels:
        return outline
    if isinstance(source, Mosaic):
        raise TypeError("an item's imagery is one file")
    return in_pixels(outline, source)


def _number(sighting: Sighting) -> int:
    """Of the finding in its run, from 1 (`workers.propose`)."""
    return int(sighting.id.rpartition("/")[2])
