"""``ussearch dashboard``: optuna-dashboard on a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def dashboard(
    study: Annotated[Path, typer.Argument(help="Folder of the study; it may be running.")],
    port: Annotated[int, typer.Option(min=1, max=65535, help="On this machine only.")] = 8081,
    storage: Annotated[
        str | None, typer.Option(help="URL of the study's database with its password, if it has one.")
    ] = None,
) -> None:
    """Serve optuna-dashboard on the database of a study, on this machine only, until Ctrl-C.

    Example: ussearch dashboard studies/busi --port 8081
    """
    from ussearch.cli.console import console
    from ussearch.errors import UserError
    from ussearch.studies import Study
    from ussearch.studies.database import existing_storage, storage_errors

    opened = Study.open(study)
    try:
        from optuna_dashboard import run_server
    except ImportError as error:
        raise UserError("ussearch dashboard needs optuna-dashboard: pip install 'ussearch[dashboard]'.") from error
    with storage_errors(opened.folder, storage):
        database = existing_storage(opened.folder, storage)
    console.print(f"Dashboard: http://127.0.0.1:{port}/; Ctrl-C ends it.", soft_wrap=True)
    run_server(database, host="127.0.0.1", port=port)
