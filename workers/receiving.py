"""Files that have come, noted in the books together with the job that will read them.

`catalog_api` calls this within the transaction that acknowledges an upload: if the acknowledgement stands, so do the
file's row and the job. One waiting job serves all files of a flight that come before it is taken up.
"""

from sqlalchemy import Connection

from records import jobs
from stac import flight_queries, flights
from stac.flight_states import State
from stac.flight_tables import Flight, Sender
from workers.jobs import LookJob, TakeJob


def receive(conn: Connection, flight: str, name: str, sha256: str, size: int, sender: Sender) -> Flight:
    """Note a file that lies in the store, and have it read. Raises `Refused` as `stac.flights.receive` does."""
    found = flights.receive(conn, flight, name, sha256, size, sender)
    wake(conn, TakeJob(flight))
    return found


def close(conn: Connection, flight: str, by: str, *, early: bool = False, reason: str = "") -> Flight:
    """End a batch. Raises `Refused` as `stac.flights.close` does."""
    found = flights.close(conn, flight, by, early=early, reason=reason)
    if found.state is not State.RECEIVING:
        wake(conn, TakeJob(flight))  # the flight's item says what became of it
    return found


def wake(conn: Connection, job: TakeJob | LookJob) -> str:
    """Put the job in unless one like it is waiting; its id."""
    column = f"{job.kind}_job"
    last = flight_queries.job_of(conn, job.flight, column)
    if last is not None and jobs.is_waiting(conn, last):
        return last
    new = jobs.enqueue(conn, job.kind, job.to_payload())
    flights.set_job(conn, job.flight, column, new)
    return new
