"""The life of a batch, as a function of its counted files and of what people decided."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagery.errors import Refused
from stac.flight_states import State, Tally, check_close, check_late, state_of, words

counts = st.integers(0, 3)
tallies = st.builds(Tally, counts, counts, counts, counts, counts)


@given(tallies, st.booleans(), st.booleans())
def test_a_batch_is_processed_only_when_no_file_waits_and_none_is_missing_unless_closed(tally, open_ended, closed):
    state = state_of(tally, open_ended=open_ended, closed=closed)
    if state is State.PROCESSED:
        assert tally.pending == 0
    if state is not State.RECEIVING and not closed:
        assert tally.missing == 0
        assert tally.received > 0
        assert not open_ended
    if closed:
        assert state is not State.RECEIVING


@given(tallies, st.booleans())
def test_answering_the_files_leads_every_complete_batch_to_its_end(tally, closed):
    if state_of(tally, open_ended=False, closed=closed) is State.COMPLETE:
        answered = Tally(tally.missing, 0, tally.accepted + tally.pending, tally.duplicate, tally.refused)
        assert state_of(answered, open_ended=False, closed=closed) is State.PROCESSED


@given(tallies, st.booleans(), st.text(max_size=3))
def test_closing_is_refused_exactly_where_files_are_missing_and_nobody_says_why(tally, early, reason):
    whole = tally.missing == 0 and tally.received > 0
    if whole or (early and reason.strip()):
        check_close(tally, early=early, reason=reason)
    else:
        with pytest.raises(Refused) as refused:
            check_close(tally, early=early, reason=reason)
        assert refused.value.reason == ("no-reason" if early else "files-missing")


def test_only_a_person_s_decision_keeps_new_files_out():
    check_late(closed=False, reason="")
    check_late(closed=True, reason="second card")
    with pytest.raises(Refused, match="flight was closed"):
        check_late(closed=True, reason=" ")


def test_words_say_how_many_were_refused():
    assert words(State.PROCESSED, 2) == ("已完成，2 个文件未通过", "complete with 2 refused")
    assert words(State.PROCESSED, 0)[1] == "complete"


def test_nothing_is_counted_below_zero():
    with pytest.raises(ValueError, match="below zero"):
        Tally(missing=-1)
