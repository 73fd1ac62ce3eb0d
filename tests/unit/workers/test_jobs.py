"""Jobs travel as JSON in a row and come back the same, or are refused by name."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.jobs import ChangeJob, DetectJob, IngestJob, from_row

texts = st.text(min_size=1).filter(str.strip)
items = st.builds("{}/{}".format, st.from_regex(r"\A[a-z]+\Z"), texts)
gsds = st.none() | st.floats(min_value=1e-3, max_value=999)
jobs = st.one_of(
    st.builds(IngestJob, paths=st.lists(texts, min_size=1).map(tuple), flight=texts, department=texts),
    st.builds(DetectJob, detector=texts, source=items, gsd=gsds, change=st.none() | items, propose=st.booleans()),
    st.builds(ChangeJob, before=items, after=items, gsd=gsds),
)


@given(jobs)
def test_a_job_survives_its_row(job):
    assert from_row(job.kind, json.loads(json.dumps(job.to_payload()))) == job


@pytest.mark.parametrize(
    ("kind", "payload", "says"),
    [
        ("paint", {}, "no job of kind 'paint'"),
        ("ingest", {"paths": ["a"], "flight": "f"}, "department"),
        ("ingest", {"paths": [], "flight": "f", "department": "d"}, "paths"),
        ("ingest", {"paths": "a", "flight": "f", "department": "d"}, "paths"),
        ("detect", {"detector": "debris", "source": "photos"}, "collection/id"),
        ("detect", {"detector": "debris", "source": "photos/1", "gsd": 0}, "gsd"),
        ("detect", {"detector": "debris", "source": "photos/1", "speed": 9}, "speed"),
        ("change", {"before": "orthophotos/1", "after": 7}, "after"),
    ],
)
def test_a_payload_that_is_no_job_is_refused_by_name(kind, payload, says):
    with pytest.raises(ValueError, match=says):
        from_row(kind, payload)
