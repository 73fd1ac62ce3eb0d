"""`flyonce simulate`: two simulated flights over one block, to try everything on."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from flyonce.cli.output import print_json, stderr, stdout


def simulate(
    out: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same block.")] = 1,
    pitch: Annotated[float, typer.Option(min=-90, max=-35, help="Degrees; -90 straight down, else oblique.")] = -90.0,
    bent: Annotated[bool, typer.Option("--bent-lens", help="Through a lens with distortion.")] = False,
    relief: Annotated[float, typer.Option(min=0, max=15, help="Metres that the ground rises and sinks.")] = 0.0,
    video: Annotated[bool, typer.Option("--video", help="A short MP4 with its SRT as well.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Simulate two flights over a city block: orthophotos, photos, and the truth about what changed 模拟两次飞行."""
    from imagery.simulator import simulate as simulator
    from imagery.simulator.options import WIDE, Options

    with Progress(console=stderr, transient=True) as bar:
        task = bar.add_task("simulated flights 模拟飞行", total=None)

        def show(what: str, done: int, of: int) -> None:
            bar.update(task, description=what, completed=done, total=of)

        options = Options(pitch, WIDE if bent else None, relief, video)
        made = simulator.simulate(out, seed, show, options=options)
    if as_json:
        print_json(
            {
                "simulated": True,
                "seed": seed,
                "flights": [
                    {
                        "name": name,
                        "taken": made.taken[i].isoformat(),
                        "orthophoto": str(made.orthophotos[i]),
                        "photos": [str(path) for path in made.photos[i]],
                    }
                    for i, name in enumerate(("before", "after"))
                ],
                "truth": str(made.truth),
                "changes": made.changes,
                "poses": str(made.poses),
            }
        )
        return
    stdout.print(f"Simulated flights 模拟飞行, seed {seed}: {made.folder}", highlight=False, soft_wrap=True)
    for i, name in enumerate(("before 前期", "after 后期")):
        count = len(made.photos[i])
        line = f"  {name}: {made.taken[i]:%Y-%m-%d %H:%M}, {made.orthophotos[i].name}, {count} photos 张照片"
        stdout.print(line, highlight=False, soft_wrap=True)
    stdout.print(f"  truth 真值: {made.changes} changes 处变化, {made.truth.name}", highlight=False, soft_wrap=True)
