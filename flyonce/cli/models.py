"""`flyonce models`: the shelf of detectors."""

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table

from flyonce.cli.output import fail, print_json, stdout

app = typer.Typer(help="The shelf of detectors 算法货架.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Every detector that `flyonce detect` can run."""
    from detectors import registry

    specs = [asdict(registry.spec(name)) for name in registry.names()]
    if as_json:
        print_json(specs)
        return
    table = Table("name 名称", "version 版本", "classes 类别", "metres per pixel", "licence 许可")
    for spec in specs:
        table.add_row(spec["name"], spec["version"], ", ".join(spec["classes"]), f"{spec['gsd']:g}", spec["licence"])
    stdout.print(table)


@app.command()
def show(name: str, as_json: AsJson = False) -> None:
    """One detector: what its results depend on."""
    from detectors import registry

    if name not in registry.names():
        fail(f"there is no detector {name!r}.", f"There are: {', '.join(registry.names())}")
    spec: dict[str, Any] = asdict(registry.spec(name))
    if as_json:
        print_json(spec)
        return
    for key, value in spec.items():
        stdout.print(f"{key}: {value}", highlight=False)
