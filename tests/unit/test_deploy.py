"""What `deploy/` and docs/settings.md promise, held to what the code takes."""

import configparser
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from flyonce.cli import app
from records import reference
from records.settings import Settings
from workers.environment import WORKER_ENVIRONMENT

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SETTINGS = {f"FLYONCE_{name.upper()}" for name in Settings.model_fields}
GIVEN = {
    "FLYONCE_API_KEY": "k" * 32,
    "FLYONCE_SIGNING_KEY": "s" * 32,
    "POSTGRES_PASSWORD": "p",
    "S3_KEY": "s",
    "JUPYTER_TOKEN": "j",
}
# What of the Compose Specification version 1 of the program knows as well.
TOP = {"services", "networks", "volumes"}
SERVICE = {
    *("build", "command", "depends_on", "deploy", "entrypoint", "environment", "healthcheck", "image"),
    *("ports", "profiles", "restart", "security_opt", "shm_size", "volumes"),
}
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The compose file with its variables filled in, as `docker compose config` would."""
    text = (DEPLOY / "compose.yaml").read_text("utf-8")

    def filled(found: re.Match[str]) -> str:
        name, default = found[1], found[2] or ""
        assert default.startswith(":-") or name in GIVEN, f"{name} has neither a value nor a default"
        return GIVEN.get(name, default.removeprefix(":-"))

    document: dict[str, Any] = yaml.safe_load(re.sub(r"\$\{(\w+)(:[-?][^}]*)?\}", filled, text))
    return document


def test_the_settings_page_is_what_the_class_says() -> None:
    """`python -m records.reference > docs/settings.md` writes it anew."""
    assert (ROOT / "docs" / "settings.md").read_text("utf-8") == reference.text()


def test_every_setting_is_described_and_no_default_is_a_secret() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        if "SecretStr" in str(field.annotation):
            assert field.default is None, name


def test_the_compose_file_has_what_a_city_runs(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) >= {"db", "s3", "scheduler", "worker", "compute-cpu", "compute-gpu", "api", "lab"}
    assert {key for key in compose if not key.startswith("x-")} <= TOP
    for name, service in compose["services"].items():
        assert set(service) <= SERVICE, name
        assert "image" in service, name
        for other, how in service.get("depends_on", {}).items():
            assert other in compose["services"], name
            assert how["condition"] in CONDITIONS, name
            if how["condition"] == "service_healthy":
                healthy = compose["services"][other]
                assert "healthcheck" in healthy or healthy["build"]["target"] == "server", other
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in compose["volumes"], name
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name} would be open to the network"


def test_docker_compose_accepts_it(tmp_path: Path, need_program: Callable[[str], str]) -> None:
    command = [need_program("docker-compose"), "-f", DEPLOY / "compose.yaml", "--profile", "gpu", "config"]
    run = subprocess.run(command, capture_output=True, text=True, env=os.environ | GIVEN, cwd=tmp_path, check=False)
    assert run.returncode == 0, run.stderr
    services = yaml.safe_load(run.stdout)["services"]
    assert services["api"]["environment"]["FLYONCE_API_KEY"] == GIVEN["FLYONCE_API_KEY"]
    without = {name: value for name, value in os.environ.items() if name not in GIVEN}
    refused = subprocess.run(command, capture_output=True, text=True, env=without, cwd=tmp_path, check=False)
    assert refused.returncode != 0
    assert "set it in deploy/.env" in refused.stderr


def test_every_variable_is_a_setting(compose: dict[str, Any]) -> None:
    named = {key for service in compose["services"].values() for key in service.get("environment", {})}
    example = re.findall(r"^(FLYONCE_\w+)=", (DEPLOY / "env.example").read_text("utf-8"), re.MULTILINE)
    units = "".join(path.read_text("utf-8") for path in (DEPLOY / "systemd").iterdir())
    mentioned = re.findall(r"FLYONCE_[A-Z_]+", units + (DEPLOY / "Dockerfile").read_text("utf-8"))
    pages = "".join((ROOT / "docs" / name).read_text("utf-8") for name in ("deploy.md", "files-and-tiles.md"))
    for key in {*named, *example, *mentioned, *re.findall(r"FLYONCE_[A-Z_]+", pages)}:
        assert not key.startswith("FLYONCE_") or key.rstrip("_") in SETTINGS, key


def test_services_that_compute_have_the_workers_environment(compose: dict[str, Any]) -> None:
    assert WORKER_ENVIRONMENT.items() <= compose["x-computing"].items()


def test_the_example_names_what_has_no_default(compose: dict[str, Any]) -> None:
    named = re.findall(r"^([A-Z_0-9]+)=", (DEPLOY / "env.example").read_text("utf-8"), re.MULTILINE)
    assert set(GIVEN) <= set(named)


def test_settings_take_what_the_compose_file_gives(compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in compose["services"]["api"]["environment"].items():
        monkeypatch.setenv(name, str(value))
    settings = Settings()
    assert (settings.store_url, settings.rate, settings.log) == ("s3://flyonce", 200, "json")
    assert settings.books_url.startswith("postgresql://flyonce:p@db")


def parse(command: list[str]) -> None:
    """Let the program's own parser read a command line; it ends the test for an option that is not there."""
    if command[0].endswith("flyonce"):
        known: Any = typer.main.get_command(app).commands[command[1]]  # type: ignore[attr-defined]
    else:
        from distributed.cli import dask_scheduler, dask_worker

        known = {"scheduler": dask_scheduler.main, "worker": dask_worker.main}[command[1]]
    known.make_context(command[1], command[2:])


def test_every_command_is_one_that_the_programs_take(compose: dict[str, Any]) -> None:
    commands = [service.get("command") for service in compose["services"].values()]
    ours = [list(map(str, command)) for command in commands if command and command[0] in ("flyonce", "dask")]
    dockerfile = (DEPLOY / "Dockerfile").read_text("utf-8")
    ours += [re.findall(r'"([^"]+)"', line) for line in re.findall(r"^CMD (\[.flyonce.*\])$", dockerfile, re.MULTILINE)]
    for path in (DEPLOY / "systemd").glob("*.service"):
        ours += [line.split() for line in re.findall(r"^ExecStart=(.*)$", path.read_text("utf-8"), re.MULTILINE)]
    assert len(ours) >= 8
    for command in ours:
        parse(command)


def test_the_dockerfile_has_the_targets_and_copies_what_there_is(compose: dict[str, Any]) -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text("utf-8")
    targets = set(re.findall(r"^FROM \S+ AS (\w+)$", dockerfile, re.MULTILINE))
    for service in compose["services"].values():
        if "build" in service:
            assert service["build"]["target"] in targets
            assert (
                DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]
            ).resolve() == DEPLOY / "Dockerfile"
    for sources in re.findall(r"^COPY (?!--from)(?:--chown=\w+ )?(.+) \S+$", dockerfile, re.MULTILINE):
        for source in sources.split():
            assert (ROOT / source).exists(), source
    packages = re.findall(r'^  "(\w+)\*",$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert {f"COPY {package} {package}" for package in packages} <= set(dockerfile.splitlines())
    assert not re.search(r"(?i)(key|password|token)=\S", dockerfile)


@pytest.mark.parametrize("name", ["flyonce-api", "flyonce-worker"])
def test_the_units_are_well_formed(name: str, tmp_path: Path) -> None:
    text = (DEPLOY / "systemd" / f"{name}.service").read_text("utf-8")
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(text)
    assert unit["Service"]["User"] == "flyonce"
    assert unit["Service"]["NoNewPrivileges"] == "yes"
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    program = str(Path(sys.executable).with_name("flyonce"))
    copy = tmp_path / f"{name}.service"
    copy.write_text(text.replace("/opt/flyonce/bin/flyonce", program), "utf-8")
    run = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True)
    assert [line for line in run.stderr.splitlines() if name in line] == []
