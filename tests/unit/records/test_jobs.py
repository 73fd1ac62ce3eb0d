import subprocess
import sys
from collections import Counter
from contextlib import suppress

from sqlalchemy import Engine, update

from records import jobs
from records.engine import transaction
from records.jobs import MOST_ATTEMPTS, Job, State


def put(engine: Engine, kind: str = "ingest", **payload: object) -> str:
    with transaction(engine) as conn:
        return jobs.enqueue(conn, kind, payload)


def taken(engine: Engine, seconds: float = 60) -> Job:
    job = jobs.lease(engine, "a worker", seconds)
    assert job is not None
    return job


def skip_the_pause(engine: Engine, job: str) -> None:
    with transaction(engine) as conn:
        due = jobs.jobs.c.created
        conn.execute(update(jobs.jobs).where(jobs.jobs.c.id == job).values(not_before=due))


def test_a_job_from_asked_to_done(engine: Engine) -> None:
    job_id = put(engine, paths=["照片/DJI_0001.JPG"])
    job = taken(engine)
    assert (job.id, job.kind, job.payload) == (job_id, "ingest", {"paths": ["照片/DJI_0001.JPG"]})
    assert (job.state, job.attempts, job.worker) == (State.RUNNING, 1, "a worker")
    assert jobs.heartbeat(engine, job, 0.5)
    halfway = jobs.get(engine, job_id)
    assert halfway is not None
    assert halfway.progress == 0.5
    assert jobs.finish(engine, job, {"accepted": 18})
    done = jobs.get(engine, job_id)
    assert done is not None
    assert (done.state, done.result, done.progress, done.lease) == (State.DONE, {"accepted": 18}, 1.0, None)
    assert done.finished is not None
    assert done.finished >= done.created
    assert jobs.lease(engine, "another", 60) is None


def test_a_job_is_not_there_if_its_transaction_was_not_committed(engine: Engine) -> None:
    with suppress(KeyError), transaction(engine) as conn:
        jobs.enqueue(conn, "ingest", {})
        raise KeyError
    assert jobs.lease(engine, "a worker", 60) is None


def test_oldest_first_and_only_the_kinds_asked_for(engine: Engine) -> None:
    first, other, second = put(engine, "ingest"), put(engine, "detect"), put(engine, "ingest")
    leased = [jobs.lease(engine, "a worker", 60, kinds=["ingest"]) for _ in range(3)]
    assert [job and job.id for job in leased] == [first, second, None]
    assert taken(engine).id == other


def test_newest_first_in_the_list(engine: Engine) -> None:
    ids = [put(engine) for _ in range(4)]
    assert [job.id for job in jobs.recent(engine, limit=3)] == ids[::-1][:3]


def test_a_lost_worker_s_job_goes_to_another_and_the_late_one_changes_nothing(engine: Engine) -> None:
    put(engine)
    late = taken(engine, seconds=-1)
    job = taken(engine)
    assert (job.id, job.attempts) == (late.id, 2)
    assert not jobs.heartbeat(engine, late, 0.9)
    assert not jobs.finish(engine, late, {"by": "late"})
    assert not jobs.fail(engine, late, "too late", retry=True)
    assert jobs.finish(engine, job, {"by": "the other"})
    done = jobs.get(engine, job.id)
    assert done is not None
    assert done.result == {"by": "the other"}


def test_a_heartbeat_keeps_the_job(engine: Engine) -> None:
    put(engine)
    job = taken(engine, seconds=-1)
    assert jobs.heartbeat(engine, job, seconds=60)
    assert jobs.lease(engine, "another", 60) is None


def test_a_job_that_takes_every_worker_with_it_is_given_up(engine: Engine) -> None:
    job_id = put(engine)
    for attempt in range(1, MOST_ATTEMPTS + 1):
        assert taken(engine, seconds=-1).attempts == attempt
    assert jobs.lease(engine, "one more", 60) is None
    job = jobs.get(engine, job_id)
    assert job is not None
    assert job.state is State.FAILED
    assert "lost 5 times" in (job.error or "")


def test_a_failed_attempt_waits_longer_each_time_then_fails_for_good(engine: Engine) -> None:
    job_id = put(engine)
    for _ in range(MOST_ATTEMPTS):
        assert jobs.fail(engine, taken(engine), "disk full", retry=True)
        assert jobs.lease(engine, "at once", 60) is None
        skip_the_pause(engine, job_id)
    job = jobs.get(engine, job_id)
    assert job is not None
    assert (job.state, job.error, job.attempts) == (State.FAILED, "disk full", MOST_ATTEMPTS)


def test_a_hopeless_job_is_not_tried_again(engine: Engine) -> None:
    job_id = put(engine)
    assert jobs.fail(engine, taken(engine), "no such file", retry=False)
    job = jobs.get(engine, job_id)
    assert job is not None
    assert (job.state, job.error) == (State.FAILED, "no such file")


def test_what_a_job_wrote_and_that_it_is_done_become_true_together(engine: Engine) -> None:
    put(engine)
    job = taken(engine)
    with suppress(KeyError), transaction(engine) as conn:
        assert jobs.finish_in(conn, job, {})
        raise KeyError
    running = jobs.get(engine, job.id)
    assert running is not None
    assert running.state is State.RUNNING
    assert jobs.heartbeat(engine, job)


def test_an_unknown_job_is_none(engine: Engine) -> None:
    assert jobs.get(engine, "0" * 32) is None


# Imports once, then forks: five processes that start together and share nothing but the database.
WORKERS = """
import os, sys
from records import jobs
from records.engine import open_engine
go, start = os.pipe()
here, ready = os.pipe()
for number in range(5):
    if os.fork() == 0:
        os.close(start)
        engine = open_engine(sys.argv[1])
        engine.connect().close()
        os.write(ready, b".")
        os.read(go, 1)  # until the parent closes the other end
        while job := jobs.lease(engine, f"worker {number}", 60):
            os.write(1, f"{job.id} ".encode())
            if not jobs.finish(engine, job, {"by": number}):
                os._exit(1)
        os._exit(0)
for _ in range(5):
    os.read(here, 1)  # all are there: none has done the work before another has begun
os.close(start)
sys.exit(any(os.wait()[1] for _ in range(5)))
"""


def test_no_job_is_leased_twice_by_processes_that_race(engine: Engine) -> None:
    ids = [put(engine, number=number) for number in range(60)]
    url = engine.url.render_as_string(hide_password=False)
    run = subprocess.run([sys.executable, "-c", WORKERS, url], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert Counter(run.stdout.split()) == Counter(ids)
    finished = jobs.recent(engine, 100)
    assert {job.state for job in finished} == {State.DONE}
    assert len({job.worker for job in finished}) > 1


def test_a_job_that_is_cancelled_is_never_leased_and_its_worker_can_write_no_more(engine: Engine) -> None:
    waiting, running = put(engine), put(engine)
    skip = jobs.cancel(engine, waiting)
    assert skip is not None
    assert (skip.state, skip.error) == (State.CANCELLED, None)
    job = taken(engine)
    assert job.id == running
    assert jobs.heartbeat(engine, job, 0.25, pace={"stage": "debris", "done": 1, "total": 4})
    halfway = jobs.get(engine, running)
    assert halfway is not None
    assert halfway.pace == {"stage": "debris", "done": 1, "total": 4}
    assert jobs.cancel(engine, running) is not None
    assert not jobs.heartbeat(engine, job, 0.5)
    assert not jobs.finish(engine, job, {})
    assert not jobs.fail(engine, job, "late", retry=True)
    assert jobs.lease(engine, "another", 60) is None
    ended = jobs.get(engine, running)
    assert ended is not None
    assert (ended.state, ended.progress, ended.finished is not None) == (State.CANCELLED, 0.25, True)


def test_what_has_ended_cannot_be_cancelled(engine: Engine) -> None:
    put(engine)
    job = taken(engine)
    jobs.finish(engine, job, {"done": True})
    after = jobs.cancel(engine, job.id)
    assert after is not None
    assert (after.state, after.result) == (State.DONE, {"done": True})
    assert jobs.cancel(engine, "none") is None
