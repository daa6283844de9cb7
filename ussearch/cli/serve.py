"""``ussearch serve``: the cloud network of a bundle as a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def serve(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    host: Annotated[str, typer.Option(help="Address to listen on; others than loopback need a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8080,
    token_file: Annotated[Path | None, typer.Option(help="File with the token; USSEARCH_TOKEN else.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate (PEM) for https.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Key (PEM) of the certificate.")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Inferences at a time; the number of cores where 0.")] = 0,
    waiting: Annotated[int, typer.Option(min=0, help="Requests that may wait; more are answered 503.")] = 32,
    engine: Annotated[str, typer.Option(help="embedded: this process; ray: replicas under Ray Serve.")] = "embedded",
    replicas: Annotated[int, typer.Option(min=1, help="Ray: at most so many replicas.")] = 4,
) -> None:
    """Serve the cloud network of a bundle by the Open Inference Protocol v2, until Ctrl-C.

    Example: ussearch serve bundle --port 8080
    """
    from ussearch.cli.console import console
    from ussearch.runtime.bundle import ServingBundle
    from ussearch.serving.auth import read_token
    from ussearch.serving.server import ServerSettings, run_server

    settings = ServerSettings(
        host=host,
        port=port,
        token=read_token(token_file),
        certificate=tls_cert,
        key=tls_key,
        workers=workers,
        waiting=waiting,
        replicas=replicas,
    )

    served = ServingBundle.load(bundle)
    door = "with a bearer token" if settings.token else "without a token"

    def tell(url: str) -> None:
        console.print(f"Serving {served.manifest.model_name} at {url} {door}; Ctrl-C ends it.", soft_wrap=True)

    run_server(served, settings, engine, tell)
