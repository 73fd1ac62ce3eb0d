"""The life of a flight's batch. Pure: values in, values out; `stac.flights` performs.

    receiving → complete → processed          and back to receiving when late files are let in

A batch that said which files to expect is complete once all of them have come. One that did not, or from which files
are missing, becomes complete only when somebody says so: closing early and opening late are decisions with a reason.
"""

from dataclasses import dataclass
from enum import StrEnum

from imagery.errors import Refused


class State(StrEnum):
    RECEIVING = "receiving"
    COMPLETE = "complete"
    """All that will come has come; some of it may not have its answer yet."""
    PROCESSED = "processed"
    """Every file has its answer."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Files of a batch, counted: `missing` were announced and have not come, `pending` have come and wait for their
    answer, the others are answered."""

    missing: int = 0
    pending: int = 0
    accepted: int = 0
    duplicate: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        if min(self.missing, self.pending, self.accepted, self.duplicate, self.refused) < 0:
            raise ValueError(f"files cannot be counted below zero: {self}")

    @property
    def answered(self) -> int:
        return self.accepted + self.duplicate + self.refused

    @property
    def received(self) -> int:
        return self.pending + self.answered


def state_of(tally: Tally, *, open_ended: bool, closed: bool) -> State:
    """Where a batch stands. `open_ended`: nobody said which files to expect; `closed`: a person closed it."""
    whole = tally.received > 0 and not tally.missing and not open_ended
    if not (closed or whole):
        return State.RECEIVING
    return State.COMPLETE if tally.pending else State.PROCESSED


def check_close(tally: Tally, *, early: bool, reason: str) -> None:
    """Raises `Refused` (`files-missing`, `no-reason`) where a batch may not be closed so."""
    lacking = tally.missing > 0 or tally.received == 0
    if lacking and not early:
        what = f"{tally.missing} announced files have not come" if tally.missing else "No file has come yet"
        raise Refused(
            "files-missing",
            f"{what} (还有文件未收到).",
            "Send them, or close the flight early with a reason (提前结束须说明原因).",
        )
    if lacking and not reason.strip():
        raise Refused("no-reason", "Closing a flight early needs a reason (须说明原因).", "Say why in a few words.")


def check_late(*, closed: bool, reason: str) -> None:
    """Raises `Refused` (`flight-closed`) where new files may not be added: a person closed the batch, and nobody says
    why it is opened again."""
    if closed and not reason.strip():
        raise Refused(
            "flight-closed",
            "The flight was closed; it takes no new files (架次已结束).",
            "Open it again with a reason (--late), or send them as another flight. 请说明原因重新打开，或另建架次。",
        )


def words(state: State, refused: int) -> tuple[str, str]:
    """What a person is told, in Chinese and in English."""
    match state:
        case State.RECEIVING:
            return "接收中", "receiving"
        case State.COMPLETE:
            return "已收齐，处理中", "complete, being processed"
        case State.PROCESSED:
            if refused:
                return f"已完成，{refused} 个文件未通过", f"complete with {refused} refused"
            return "已完成", "complete"
