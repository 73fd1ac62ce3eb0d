"""`flyonce node`: lend this host to a Dask scheduler."""

from typing import Annotated

import typer


def node(
    scheduler: Annotated[str, typer.Argument(metavar="ADDRESS", help="The scheduler's, tcp://host:8786.")],
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes; 0: by cores and GPUs here.")] = 0,
    host: Annotated[str | None, typer.Option(help="This host's address, as the scheduler reaches it.")] = None,
) -> None:
    """Work for a Dask scheduler with all cores, or all GPUs, of this host. 计算节点。

    Sources are read from the store's folder where this host shares it (FLYONCE_HOME), else fetched once from the server
    (FLYONCE_SERVER, FLYONCE_API_KEY); tile results are kept on this host (FLYONCE_CACHE).
    """
    from workers.node import lend

    lend(scheduler, workers=workers, host=host)
