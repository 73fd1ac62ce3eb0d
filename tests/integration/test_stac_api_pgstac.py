"""The unit tests of the STAC API, on pgstac: what is found, what is refused, word for word."""

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from records.settings import Settings
from stac.assets import Stored
from workers.home import Home

UNIT = Path(__file__).parents[1] / "unit" / "catalog_api"


def unit(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"api_on_pgstac_{Path(name).stem}", UNIT / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


shared = unit("conftest.py")
client, address = shared.client, shared.address


@pytest.fixture(scope="session")
def filled(pgstac_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Twelve photos, one file. Read only."""
    settings = Settings(home=tmp_path_factory.mktemp("home"), database_url=pgstac_database(), api_key=None)
    with Home.open(settings) as home:
        stored = home.files.put_bytes(shared.BYTES)
        original = Stored(shared.NAME, stored.sha256, stored.size, "image/jpeg")
        home.catalog.put_items([shared.photo(number, original) for number in range(12)])
        yield home


for name, test in vars(unit("test_stac.py")).items():
    if name.startswith("test_"):
        globals()[name] = test
