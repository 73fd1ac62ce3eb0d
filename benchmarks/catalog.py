"""Searching and loading the two catalogues, beside bare stac-fastapi-pgstac on the same items.

`.venv/bin/python benchmarks/catalog.py` (100,000 items; `--items 1000000` for a million). It makes one city of photos,
starts a PostgreSQL of its own in a temporary folder, loads both catalogues, and asks each the same questions by turns.
"""

import argparse
import json
import os
import pwd
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg

from records.settings import Settings
from stac.cql2 import parse_text
from stac.store import Query
from workers.bulk import load
from workers.home import Home

CITY = (102.60, 24.90, 102.95, 25.20)  # about 35 km × 33 km
METRE = 1 / 111_320
START = datetime(2026, 1, 1, tzinfo=UTC)
SIDES = {"200 m": 200.0, "2 km": 2_000.0, "city": None}
FILTERS = {
    "no filter": None,
    "half of the items": "gsd < 0.035",
    "one in a thousand": "flyonce:flight = 'flight-0007'",
    "none": "flyonce:department = 'nobody'",
    "two that exclude each other": "flyonce:department = 'd0' AND flyonce:security = 'public'",
}


def items(count: int) -> Iterator[dict[str, Any]]:
    draw = random.Random(20261127)
    west, south, east, north = CITY
    for number in range(count):
        lon, lat, half = draw.uniform(west, east), draw.uniform(south, north), draw.uniform(15, 60) * METRE
        flight, department = number // (count // 1000), draw.randrange(5)
        ring = [(lon - half, lat - half), (lon + half, lat - half), (lon + half, lat + half), (lon - half, lat + half)]
        sha256 = f"{number:064x}"
        moment = START + timedelta(seconds=60 * number)
        yield {
            "type": "Feature",
            "stac_version": "1.1.0",
            "stac_extensions": ["/schemas/flyonce-v1.0.0.json"],
            "id": f"{number:020x}",
            "collection": "photos",
            "geometry": {"type": "Polygon", "coordinates": [[list(corner) for corner in (*ring, ring[0])]]},
            "bbox": [lon - half, lat - half, lon + half, lat + half],
            "properties": {
                "datetime": moment.isoformat().replace("+00:00", "Z"),
                "created": moment.isoformat().replace("+00:00", "Z"),
                "title": f"DJI_{number:06}.JPG",
                "gsd": round(draw.uniform(0.01, 0.06), 4),
                "platform": "DJI FC300S",
                "flyonce:flight": f"flight-{flight:04}",
                "flyonce:department": f"d{department}",
                "flyonce:security": "public" if department else "internal",
                "flyonce:retain_until": "2029-01-01",
                "flyonce:footprint_method": "pose",
                "flyonce:footprint_error_m": round(draw.uniform(1, 9), 2),
                "view:off_nadir": round(draw.uniform(0, 30), 1),
            },
            "links": [],
            "assets": {
                key: {
                    "href": f"/assets/{sha256}/{key}.jpg",
                    "type": "image/jpeg",
                    "roles": [role],
                    "file:size": 9_000_000,
                }
                for key, role in (("original", "data"), ("thumbnail", "thumbnail"))
            },
        }


def boxes(side: float | None, count: int) -> list[tuple[float, float, float, float]]:
    west, south, east, north = CITY
    if side is None:
        return [CITY] * count
    draw, degrees = random.Random(side), side * METRE
    corners = [(draw.uniform(west, east - degrees), draw.uniform(south, north - degrees)) for _ in range(count)]
    return [(lon, lat, lon + degrees, lat + degrees) for lon, lat in corners]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL of our own, as a small city would set it up."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"))
    account = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="flyonce-bench-"))
    if account:
        shutil.chown(folder, account, pwd.getpwnam(account).pw_gid)
    port, environment = free_port(), {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    initdb = [programs / "initdb", "-D", folder / "data", "-U", "flyonce", "--auth=trust", "--encoding=UTF8"]
    subprocess.run(initdb, user=account, env=environment, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    settings = (
        "shared_buffers=1GB",
        "effective_cache_size=4GB",
        "work_mem=32MB",
        "random_page_cost=1.1",
        "max_wal_size=4GB",
    )
    serve = [programs / "postgres", "-D", folder / "data", "-p", str(port), "-h", "127.0.0.1", "-k", folder]
    options = [part for setting in settings for part in ("-c", setting)]
    server = subprocess.Popen([*serve, *options], user=account, env=environment, cwd=folder, stderr=subprocess.DEVNULL)
    address = f"postgresql://flyonce@127.0.0.1:{port}/postgres"
    try:
        until(lambda: psycopg.connect(address).close(), psycopg.OperationalError)
        with psycopg.connect(address, autocommit=True) as conn:
            conn.execute("CREATE DATABASE flyonce")
        yield f"postgresql://flyonce@127.0.0.1:{port}/flyonce"
    finally:
        server.send_signal(2)
        server.wait(60)
        shutil.rmtree(folder)


def until(try_it: Callable[[], Any], *errors: type[Exception]) -> None:
    for _ in range(600):
        try:
            try_it()
        except errors:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("a server did not start")


@contextmanager
def serving(factory: str, environment: dict[str, str], path: str) -> Iterator[str]:
    """One uvicorn process; the address of its STAC API."""
    port = free_port()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FLYONCE_")}
    command = [sys.executable, "-m", "uvicorn", "--factory", factory, "--port", str(port), "--log-level", "error"]
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(command, env={**clean, **environment}, stdout=log, stderr=log)
        address = f"http://127.0.0.1:{port}{path}"
        try:
            until(lambda: httpx.get(f"{address}/").raise_for_status(), httpx.HTTPError)
            yield address
        finally:
            server.terminate()
            server.wait(30)


def quantiles(seconds: list[float]) -> tuple[float, float]:
    """p50 and p95 in ms."""
    ordered = sorted(seconds)
    return 1000 * statistics.median(ordered), 1000 * ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]


def measure(asked: dict[str, Callable[[Any], Any]], questions: list[Any]) -> dict[str, tuple[float, float]]:
    """Each question to each by turns, after a few that are not counted."""
    times: dict[str, list[float]] = {name: [] for name in asked}
    for number, question in enumerate([*questions[:3], *questions]):
        for name, ask in asked.items():
            started = time.perf_counter()
            ask(question)
            if number >= 3:
                times[name].append(time.perf_counter() - started)
    return {name: quantiles(found) for name, found in times.items()}


def in_process(homes: dict[str, Home], rounds: int) -> None:
    print("\nSearch in the process, limit 10: p50 / p95 in ms\n")
    print(f"| box | filter | {' | '.join(homes)} |\n| --- | --- | {' | '.join('---' for _ in homes)} |")
    for side_name, side in SIDES.items():
        for filter_name, text in FILTERS.items():
            asked = {name: home.catalog.search for name, home in homes.items()}
            parsed: Any = None if text is None else parse_text(text)
            found = measure(asked, [Query(bbox=box, filter=parsed, limit=10) for box in boxes(side, rounds)])
            shown = " | ".join(f"{p50:.1f} / {p95:.1f}" for p50, p95 in found.values())
            print(f"| {side_name} | {filter_name} | {shown} |", flush=True)


def over_http(addresses: dict[str, str], rounds: int) -> None:
    print("\nPOST /search by one client, limit 10: p50 / p95 in ms, and p95 as a ratio to bare stac-fastapi-pgstac\n")
    print(f"| box | filter | {' | '.join(addresses)} |\n| --- | --- | {' | '.join('---' for _ in addresses)} |")
    with ExitStack() as stack:
        clients = {name: stack.enter_context(httpx.Client(base_url=at, timeout=120)) for name, at in addresses.items()}
        for side_name, side in SIDES.items():
            for filter_name in ("no filter", "half of the items", "one in a thousand"):
                questions = [search(box, FILTERS[filter_name]) for box in boxes(side, rounds)]
                asked = {name: lambda body, client=client: checked(client, body) for name, client in clients.items()}
                found = measure(asked, questions)
                bare = found["bare stac-fastapi-pgstac"][1]
                shown = " | ".join(f"{p50:.0f} / {p95:.0f} ({p95 / bare:.2f})" for p50, p95 in found.values())
                print(f"| {side_name} | {filter_name} | {shown} |", flush=True)


def search(box: tuple[float, ...], text: str | None) -> dict[str, Any]:
    filtered = {} if text is None else {"filter": parse_text(text), "filter-lang": "cql2-json"}
    return {"bbox": list(box), "limit": 10, "collections": ["photos"], **filtered}


def checked(client: httpx.Client, body: dict[str, Any]) -> int:
    answer = client.post("/search", json=body)
    answer.raise_for_status()
    return len(answer.json()["features"])


def at_once(addresses: dict[str, str], clients: int, seconds: float) -> None:
    print(f"\n{clients} clients at once for {seconds:.0f} s, mixed boxes\n")
    print("| service | answers/s | p50 / p95 ms | errors |\n| --- | --- | --- | --- |")
    for name, at in addresses.items():
        with ThreadPoolExecutor(clients) as pool:
            found = list(pool.map(partial(client_of, at, time.monotonic() + seconds), range(clients)))
        times = [one for one_times, _ in found for one in one_times]
        errors = [one for _, one_errors in found for one in one_errors]
        p50, p95 = quantiles(times)
        print(f"| {name} | {len(times) / seconds:.0f} | {p50:.0f} / {p95:.0f} | {len(errors)} |", flush=True)
        for error in sorted(set(errors))[:3]:
            print(f"    {error}")


def client_of(address: str, end: float, seed: int) -> tuple[list[float], list[str]]:
    """One client until `end`: its times in seconds, and its errors."""
    draw, times, errors = random.Random(seed), [], []
    asked = [search(box, None) for side in SIDES.values() for box in boxes(side, 20)]
    with httpx.Client(base_url=address, timeout=120) as client:
        while time.monotonic() < end:
            started = time.perf_counter()
            try:
                checked(client, draw.choice(asked))
            except httpx.HTTPError as error:
                errors.append(repr(error))
            else:
                times.append(time.perf_counter() - started)
    return times, errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=100, help="questions of each kind")
    parser.add_argument("--seconds", type=float, default=60, help="of many clients at once")
    parser.add_argument("--clients", type=int, default=60)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="flyonce-bench-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        url = stack.enter_context(postgresql())
        source = folder / "items.ndjson"
        with source.open("w", encoding="utf-8") as out:
            out.writelines(json.dumps(item, ensure_ascii=False) + "\n" for item in items(args.items))
        settings = {
            "embedded": Settings(home=folder / "embedded", database_url="", api_key=None),
            "pgstac": Settings(home=folder / "pgstac", database_url=url, api_key=None),
        }
        homes = {name: stack.enter_context(Home.open(one)) for name, one in settings.items()}
        when = f"{datetime.now(UTC):%Y-%m-%d}, load {os.getloadavg()[0]:.1f}"
        print(f"{args.items} items in one city, {os.cpu_count()} cores, {when}\n")
        for name, home in homes.items():
            started = time.perf_counter()
            load(home, source)
            print(f"flyonce admin load, {name}: {args.items / (time.perf_counter() - started):.0f} items/s", flush=True)
        in_process(homes, args.rounds)
        parsed = psycopg.conninfo.conninfo_to_dict(url)
        bare = {"PGHOST": parsed["host"], "PGPORT": parsed["port"], "PGUSER": parsed["user"], "PGPASSWORD": "-"}
        ours = {
            name: {"FLYONCE_HOME": str(one.home), "FLYONCE_DATABASE_URL": one.database_url}
            for name, one in settings.items()
        }
        addresses = {
            name: stack.enter_context(serving("catalog_api.app:create_app", environment, "/stac"))
            for name, environment in ours.items()
        }
        addresses["bare stac-fastapi-pgstac"] = stack.enter_context(
            serving(
                "stac_fastapi.pgstac.app:create_app",
                {**{k: str(v) for k, v in bare.items()}, "PGDATABASE": str(parsed["dbname"])},
                "",
            )
        )
        over_http(addresses, args.rounds)
        at_once(addresses, args.clients, args.seconds)


if __name__ == "__main__":
    main()
