"""Killed (kill -9) between a person's approval and the filed ticket, at every step: each ticket is filed once."""

import json
import os
import signal
import traceback
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import event, text

from records import history
from records.engine import migrate, open_engine, transaction
from records.files import DirectoryStore
from tickets import store
from tickets.codes import load_codes
from tickets.filing import file_approved
from tickets.gateways.file import FileGateway
from tickets.states import Action, State
from tickets.values import Evidence, Sighting

CODES = load_codes()

Say = Callable[[str], object]


def approve_and_file(home: Path, dies_at: int, say: Say) -> None:
    """Approve what is still a candidate, then file; die just before step number `dies_at`: each commit, each sync to
    the disk, each rename, and the moment before filing starts. 0: live. Runs in a process of its own."""
    left = dies_at

    def step(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any) -> Any:
            step()
            return call(*args)

        return wrapped

    os.fsync = dying(os.fsync)
    Path.replace = dying(Path.replace)  # type: ignore[method-assign]
    engine = open_engine(f"sqlite:///{home / 'books.sqlite'}")
    event.listen(engine, "commit", step)
    with engine.connect() as conn:
        waiting = store.find(conn, [State.CANDIDATE])
    for candidate in waiting:
        with transaction(engine) as conn:
            number = store.decide(conn, CODES, candidate.id, Action.APPROVE, "wang").event.ticket
        say(f"{number}")
    step()
    file_approved(engine, CODES, FileGateway(home / "outbox", DirectoryStore(home / "files")))


def start(home: Path, dies_at: int) -> tuple[int, int]:
    """A forked process doing that: its pid, and where to read what it says."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            approve_and_file(home, dies_at, lambda line: os.write(writing, f"{line}\n".encode()))
            code = 0
        finally:
            if code:
                traceback.print_exc()
            os._exit(code)
    os.close(writing)
    return pid, reading


def run(home: Path, dies_at: int) -> tuple[list[str], bool]:
    """Ticket numbers that were acknowledged, and whether the process came to its end."""
    pid, reading = start(home, dies_at)
    with os.fdopen(reading) as said:
        acknowledged = said.read().split()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return acknowledged, code == 0


def candidates(home: Path, count: int) -> None:
    engine = open_engine(f"sqlite:///{home / 'books.sqlite'}")
    migrate(engine)
    crop = f"/assets/{DirectoryStore(home / 'files').put_bytes(b'crop').sha256}/after.jpg"
    seen = [
        Sighting(
            id=f"run/{n}",
            class_="spoil_heap",
            geometry={"type": "Point", "coordinates": [114.3 + n / 100, 30.5]},
            score=0.9,
            area_m2=9.0,
            error_m=1.0,
            seen=datetime(2026, 11, 22, tzinfo=UTC),
            run="detections/run",
            flight="east",
            evidence=Evidence(after=crop),
        )
        for n in range(count)
    ]
    with transaction(engine) as conn:
        store.record(conn, seen)
    engine.dispose()


def check_whole(home: Path, acknowledged: list[str], count: int) -> None:
    """After everything was repeated: every ticket once, as a document, as an event and in the history."""
    engine = open_engine(f"sqlite:///{home / 'books.sqlite'}")
    with engine.connect() as conn:
        events = store.find(conn)
        kinds = Counter(entry.kind for found in events for entry in store.history_of(conn, found.id))
        delivered = conn.execute(text("SELECT key FROM outbox WHERE delivered IS NOT NULL")).scalars().all()
        heads = []
        documents = sorted((home / "outbox").glob("*.json"))
        for document in documents:
            ticket = json.loads(document.read_text("utf-8"))
            assert (home / "outbox" / ticket["evidence"]["files"]["after"]).read_bytes() == b"crop"
            heads.append(history.Head(**ticket["history"]))
        assert history.verify(conn, *heads) == []
    engine.dispose()
    numbers = sorted(found.ticket or "" for found in events)
    assert [number[-6:] for number in numbers] == [f"{n:06d}" for n in range(1, count + 1)]
    assert set(acknowledged) <= set(numbers)
    assert [document.stem for document in documents] == numbers == sorted(delivered)
    assert {found.state for found in events} == {State.FILED}
    assert kinds == {"propose": count, "approve": count, "file": count}
    assert not list((home / "outbox").glob(".*.part"))


def test_killed_between_approval_and_filing(tmp_path: Path) -> None:
    """The plain case: approved, acknowledged, dead; somebody else drains the outbox later, twice."""
    candidates(tmp_path, 3)
    acknowledged, ended = run(tmp_path, dies_at=4)  # three commits, then the step before filing
    assert len(acknowledged) == 3
    assert not ended
    assert not (tmp_path / "outbox").exists()
    engine = open_engine(f"sqlite:///{tmp_path / 'books.sqlite'}")
    gateway = FileGateway(tmp_path / "outbox", DirectoryStore(tmp_path / "files"))
    assert file_approved(engine, CODES, gateway).delivered == tuple(acknowledged)
    assert file_approved(engine, CODES, gateway).delivered == ()
    engine.dispose()
    check_whole(tmp_path, acknowledged, 3)


def test_killed_at_every_step_from_approval_to_filed(tmp_path: Path) -> None:
    ended, step = False, 0
    while not ended:
        step += 1
        home = tmp_path / f"killed at {step}"
        home.mkdir()
        candidates(home, 1)
        acknowledged, ended = run(home, dies_at=step)
        more, repeated = run(home, dies_at=0)
        assert repeated
        check_whole(home, acknowledged + more, 1)
    assert step > 8  # two commits, the start of filing, and for two files each: two syncs and a rename


def test_killed_again_and_again_on_one_home(tmp_path: Path) -> None:
    candidates(tmp_path, 3)
    acknowledged: list[str] = []
    ended, dies_at = False, 1
    while not ended:
        more, ended = run(tmp_path, dies_at)
        acknowledged += more
        dies_at += 2
    check_whole(tmp_path, acknowledged, 3)


def test_two_processes_that_file_at_once_file_each_ticket_once(tmp_path: Path) -> None:
    candidates(tmp_path, 6)
    acknowledged, _ = run(tmp_path, dies_at=7)
    assert len(acknowledged) == 6
    started = [start(tmp_path, 0) for _ in range(3)]
    for _, reading in started:
        os.close(reading)
    assert [os.waitpid(pid, 0)[1] for pid, _ in started] == [0, 0, 0]
    check_whole(tmp_path, acknowledged, 6)
