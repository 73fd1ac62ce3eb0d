"""`flyonce admin`: what whoever runs a flyonce does now and then."""

from pathlib import Path
from typing import Annotated

import typer

from flyonce.cli.output import fail, print_json, stderr, stdout
from records.settings import Settings

app = typer.Typer(help="Care 运维: load items in bulk, verify, back up, restore.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def load(
    items: Annotated[Path, typer.Argument(help="File with one STAC item a line (NDJSON).")], as_json: AsJson = False
) -> None:
    """Insert or replace many items 批量导入, all or none."""
    import time

    from workers.bulk import load as load_items
    from workers.home import Home

    started = time.monotonic()
    with Home.open(Settings(), create=False) as home:
        try:
            count = load_items(home, items)
        except OSError as error:
            fail(f"{items} cannot be read: {error.strerror}.", "Check the path 请检查路径。")
    seconds = time.monotonic() - started
    if as_json:
        print_json({"loaded": count, "seconds": round(seconds, 3)})
    else:
        stdout.print(f"{count} 项 items loaded 已导入, {seconds:.1f} s", highlight=False)


@app.command()
def verify(
    quick: Annotated[bool, typer.Option("--quick", help="Look for files without reading them.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare catalogue, files and books 核对. Names every difference; exit code 1 where there is one."""
    from workers.home import Home
    from workers.verify import verify as compare

    with Home.open(Settings(), create=False) as home:
        found = compare(home, hashing=not quick)
    if as_json:
        print_json(found.to_dict())
    else:
        for one in found.differences:
            stdout.print(f"{one.kind}  {one.what}  {one.message}", highlight=False, markup=False, soft_wrap=True)
        stderr.print(
            f"{found.items} 项 items, {found.files} 个文件 files; {len(found.differences)} 处差异 differences",
            highlight=False,
        )
    if found.differences:
        raise typer.Exit(1)


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="New or empty folder, or one with an earlier backup of this home.")],
    as_json: AsJson = False,
) -> None:
    """Back up database and files 备份, while flyonce runs."""
    from dataclasses import asdict

    from workers.backup import backup as write

    made = write(Settings(), folder)
    if as_json:
        print_json(asdict(made))
    else:
        stdout.print(f"{folder}: {made.database}, {made.files} 个文件 files, {made.bytes} bytes", highlight=False)


@app.command()
def restore(folder: Annotated[Path, typer.Argument(help="A backup's folder.")], as_json: AsJson = False) -> None:
    """Make a new home from a backup 恢复 (FLYONCE_HOME, FLYONCE_DATABASE_URL). Writes over nothing."""
    from dataclasses import asdict

    from workers.backup import restore as make

    settings = Settings()
    made = make(settings, folder)
    if as_json:
        print_json(asdict(made))
    else:
        stdout.print(f"{settings.home}: 已恢复 restored. `flyonce admin verify` 核对。", highlight=False)
