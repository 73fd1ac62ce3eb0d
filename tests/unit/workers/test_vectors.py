"""Features that are spooled give the same document as those in memory, and memory does not grow with them."""

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.vectors import Spool, encode


def feature(name, area, words):
    properties = {"class": name, "area_m2": area, "words": words}
    return {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1.5, 2.5]}, "properties": properties}


features = st.lists(
    st.builds(feature, st.sampled_from(["heap", "堆"]), st.floats(0, 1e6), st.text(max_size=20)), max_size=12
)


@given(found=features, cut=st.integers(0, 12))
def test_spooled_features_make_the_same_document(tmp_path_factory, found, cut):
    about = {"runs": [{"b": 1, "a": "土"}]}
    with Spool(tmp_path_factory.getbasetemp()) as spool:
        counts = [spool.add(found[:cut]), spool.add(iter(found[cut:]))]
        whole = b"".join(spool.document(about))
        assert whole == b"".join(spool.document(about)) == encode(found, about)
    assert json.loads(whole)["features"] == found
    assert spool.count == len(found) == counts[0].total() + counts[1].total()
    assert spool.by_class == counts[0] + counts[1]
    assert spool.area_m2 == pytest.approx(sum(one["properties"]["area_m2"] for one in found))


def test_features_without_a_file_are_counted_alone():
    with Spool(None) as spool:
        spool.add([feature("heap", 2.0, "")])
        assert (spool.count, spool.area_m2) == (1, 2.0)
        with pytest.raises(ValueError, match="counted alone"):
            spool.document({})


def test_memory_holds_one_feature_at_a_time(tmp_path):
    tracemalloc.start()
    try:
        with Spool(tmp_path) as spool:
            spool.add(feature("heap", 1.0, f"{number:01000}") for number in range(20_000))
            size = sum(map(len, spool.document({})))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 20_000_000
    assert peak < 2_000_000
