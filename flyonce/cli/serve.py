"""`flyonce serve`: the web service, with one worker beside it."""

import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flyonce.cli.output import stderr, stdout
from records.settings import Settings

if TYPE_CHECKING:
    import uvicorn

WORKER_PATIENCE = 20
"""Seconds that a worker has to put down what it is doing."""


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen at; others than this machine's want a key.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8000,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Start no worker: jobs wait for one.")] = False,
) -> None:
    """Serve the catalogue, its files and the console; jobs are done by a worker that starts and stops with it."""
    # stac-fastapi warns about its own defaults while it is imported; ours are given to it later.
    logging.getLogger("stac_fastapi.types.config").setLevel(logging.ERROR)
    from catalog_api.app import create_app
    from catalog_api.guard import check_address
    from records.logs import set_up

    settings = Settings()
    set_up(settings, logging.WARNING)
    check_address(host, settings)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn passes the signal on when it has shut down
    server = _server(create_app(settings), host, port)
    with _worker(not no_worker):
        try:
            server.run()
        except KeyboardInterrupt:
            return
    if not server.started:
        raise typer.Exit(1)


def _server(app: Any, host: str, port: int) -> "uvicorn.Server":
    import uvicorn

    class Server(uvicorn.Server):
        """Says where it is once it answers."""

        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            if self.started:
                bound = self.servers[0].sockets[0].getsockname()[1]
                name = f"[{host}]" if ":" in host else host
                stdout.print(f"服务地址 Serving at http://{name}:{bound}/  （Ctrl+C 停止 to stop）", highlight=False)

    return Server(uvicorn.Config(app, host=host, port=port, log_config=None, access_log=False, server_header=False))


@contextmanager
def _worker(wanted: bool) -> Iterator[None]:
    """One `flyonce worker` for as long as the block runs."""
    if not wanted:
        yield
        return
    # A session of its own: Ctrl+C reaches the server alone, which then ends the worker by its id.
    child = subprocess.Popen([sys.executable, "-m", "flyonce", "worker"], start_new_session=True)
    stopping = threading.Event()
    threading.Thread(target=_watch, args=(child, stopping), daemon=True).start()
    try:
        yield
    finally:
        stopping.set()
        child.terminate()
        try:
            child.wait(WORKER_PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()  # its job's lease ends, and the next worker takes it up
            child.wait()


def _watch(child: "subprocess.Popen[bytes]", stopping: threading.Event) -> None:
    code = child.wait()
    if not stopping.is_set():
        stderr.print(
            f"[bold red]worker[/]: 工作进程已退出 it ended by itself (code {code}); jobs wait. "
            "Run `flyonce worker` to see why, or serve again.",
            highlight=False,
            soft_wrap=True,
        )
