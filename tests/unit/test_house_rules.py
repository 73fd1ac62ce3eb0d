"""The promises of the house plan that a program can check."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ["flyonce", "catalog_api", "workers", "tickets", "sharing", "stac", "detectors", "imagery", "records"]


def modules_after(statement: str) -> set[str]:
    """Top-level names in `sys.modules` after `statement` ran in a fresh interpreter."""
    code = f"import sys\n{statement}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(run.stdout.split())


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_is_ours_and_not_a_stranger_of_the_same_name(package: str) -> None:
    assert Path(importlib.import_module(package).__file__ or "").parent == ROOT / package


@pytest.mark.parametrize("package", ["imagery", "detectors", "workers"])
def test_init_files_of_packages_that_run_on_bare_machines_are_empty(package: str) -> None:
    assert (ROOT / package / "__init__.py").read_text() == ""


def test_tiles_and_detectors_import_without_gdal() -> None:
    loaded = modules_after(
        "import imagery.tiles, detectors.base, detectors.debris, detectors.change, detectors.registry"
    )
    assert not loaded & {"rasterio", "pyproj", "shapely", "PIL", "sqlalchemy", "dask"}


def test_the_engine_of_a_bare_gpu_machine_imports_with_torch_and_numpy_alone() -> None:
    loaded = modules_after("import workers.pipeline, workers.scoring, workers.environment")
    assert not loaded & {"rasterio", "pyproj", "shapely", "PIL", "sqlalchemy", "dask", "distributed", "scipy"}


def test_the_api_never_loads_torch_or_dask() -> None:
    assert not modules_after("import catalog_api.app, workers.jobs, workers.home") & {"torch", "dask", "distributed"}


def test_the_command_line_starts_light() -> None:
    loaded = modules_after("import flyonce.cli")
    assert not loaded & {"torch", "dask", "distributed", "rasterio", "numpy", "sqlalchemy", "shapely", "fastapi"}


def test_torchvision_belongs_to_the_same_build_as_torch() -> None:
    import torch
    from torchvision.ops import nms

    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30]])
    assert nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5).tolist() == [0, 2]


def test_the_command_answers_by_help() -> None:
    run = subprocess.run([sys.executable, "-m", "flyonce", "--help"], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0
    for command in (
        "demo",
        "simulate",
        "inspect",
        "ingest",
        "search",
        "detect",
        "change",
        "review",
        "tickets",
        "serve",
    ):
        assert command in run.stdout


def imported_names() -> set[str]:
    """Top-level names that our packages import."""
    found: set[str] = set()
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add((node.module or "").split(".")[0])
    return found


# Import name → distribution, where the two differ.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "prometheus_client": "prometheus-client",
    "imageio_ffmpeg": "imageio-ffmpeg",
    "mapbox_vector_tile": "mapbox-vector-tile",
    "pi_heif": "pi-heif",
    "segment_anything": "segment-anything",
    "psycopg_pool": "psycopg",
    "attr": "attrs",
    "pydantic_settings": "pydantic-settings",
    "rio_cogeo": "rio-cogeo",
    "stac_fastapi": "stac-fastapi-api",
    "stac_pydantic": "stac-pydantic",
    "pystac_client": "pystac-client",
    "odc": "odc-stac",
    "starlette": "fastapi",
    "pydantic_core": "pydantic",
    "titiler": "titiler-core",
    "rio_tiler": "titiler-core",
    "morecantile": "titiler-core",
    "affine": "rasterio",
    "click": "typer",
}


def declared() -> dict[str, str]:
    """Distribution → version range, from every dependency list of pyproject.toml but the development group."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    split = [re.fullmatch(r"([A-Za-z0-9-]+)(?:\[[^]]*\])?(.*)", line) for line in lines]
    return {match[1].lower(): match[2] for match in split if match and match[1] != "flyonce"}


def test_every_import_is_declared() -> None:
    third_party = imported_names() - set(sys.stdlib_module_names) - set(PACKAGES)
    assert {DISTRIBUTIONS.get(name, name).lower() for name in third_party} <= set(declared())


def test_environment_yml_names_what_pyproject_declares() -> None:
    lines = (ROOT / "environment.yml").read_text().splitlines()
    conda = {}
    for line in lines:
        if match := re.fullmatch(r"\s+- ([a-z0-9][a-z0-9_.-]*?)\s*([<>=].*)?", line):
            conda[match[1]] = (match[2] or "").replace(" ", "")
    conda_names = {"torch": "pytorch", "prometheus-client": "prometheus_client"}
    for name, versions in declared().items():
        assert conda.get(conda_names.get(name, name)) == versions, name


def test_no_committed_file_names_a_package_registry() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True, cwd=ROOT)
    hosts = re.compile(r"(registry\.npmjs|files\.pythonhosted|registry\.yarnpkg)\." + r"org")
    guilty = []
    for name in filter(None, tracked.stdout.split("\0")):
        path = ROOT / name
        if path.suffix in {".lock", ".json", ".toml", ".yml", ".txt"} and hosts.search(path.read_text(errors="ignore")):
            guilty.append(name)
    assert guilty == []


def test_nothing_under_gpl_is_locked() -> None:
    """pypgstac wants plpygis (GPL-3.0) for a loader that is not used; pyproject.toml leaves it out."""
    lock = (ROOT / "requirements.lock").read_text()
    assert re.findall(r"^(plpygis|pyexiv2|av|pillow-heif)==", lock, re.MULTILINE) == []
