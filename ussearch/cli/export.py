"""``ussearch export``: a bundle from a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    study: Annotated[Path, typer.Argument(help="Folder of the study; with --triton also of a finished bundle.")],
    edge: Annotated[int | None, typer.Option(help="Trial for the device; the best one else.")] = None,
    cloud: Annotated[int | None, typer.Option(help="Trial for the cloud; the best one else.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the bundle; inside the study else.")] = None,
    offload_share: Annotated[
        float | None, typer.Option(help="Share of images that may go to the cloud; default: 0.2 where that pays.")
    ] = None,
    compress: Annotated[bool, typer.Option(help="Prune, distil and quantise the edge network, where it helps.")] = True,
    budget: Annotated[str | None, typer.Option(help="Time for that, such as 10m; what does not fit is named.")] = None,
    steps: Annotated[str | None, typer.Option(help="Its steps by name, with commas, as in ussearch compress.")] = None,
    measurements: Annotated[Path | None, typer.Option(help="CSV of a kit, measured on the device.")] = None,
    data: Annotated[Path | None, typer.Option(help="Where the study's data lies now, if it was moved.")] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or cuda: where training runs.")] = "auto",
    triton: Annotated[Path | None, typer.Option(help="Triton model repository to add the cloud network to.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train the chosen pair at full length and write its verified bundle.

    Example: ussearch export studies/busi --edge 4 --cloud 5 --out bundles/busi
    """
    from ussearch.files import found_at

    if triton is not None and (found_at(study) / "bundle.yaml").is_file():
        _add_to_triton(study, triton, quiet=False)
        return
    from ussearch.cli.console import print_json
    from ussearch.cli.interrupts import interruptible
    from ussearch.cli.option_values import steps_from
    from ussearch.cli.progress import RunProgress
    from ussearch.cli.result_lines import print_delivery
    from ussearch.compress import KitTimes, times_of_kit
    from ussearch.pairs.delivery.compression import CompressionRequest
    from ussearch.pairs.delivery.router_training import RoutingRequest
    from ussearch.pairs.routing.policies import share_policy
    from ussearch.pipeline import ExportRequest
    from ussearch.pipeline import export as export_pipeline
    from ussearch.process_settings import settle
    from ussearch.run_config import seconds_from
    from ussearch.serving.triton import require_outside

    if triton is not None:
        require_outside(triton, out or study / "bundle")
    settle()
    chain = CompressionRequest(
        steps=steps_from(steps),
        kit=times_of_kit(measurements) if measurements else KitTimes(),
        budget_seconds=seconds_from(budget) if budget else None,
    )
    routing = RoutingRequest(share_policy(offload_share), budget_seconds=0.0)
    spec = ExportRequest(edge=edge, cloud=cloud, out=out, routing=routing, compression=chain if compress else None)
    with interruptible("the same command continues it"), RunProgress(quiet=json_output) as progress:
        delivery = export_pipeline(study, spec, data=data, accelerator=accelerator, on_event=progress)
    print_json(delivery.to_dict()) if json_output else print_delivery(delivery)
    if triton is not None:
        _add_to_triton(delivery.bundle.folder, triton, quiet=json_output)
    if not delivery.verification.passed:
        raise typer.Exit(1)


def _add_to_triton(bundle: Path, repository: Path, *, quiet: bool) -> None:
    from ussearch.cli.console import console
    from ussearch.pairs import Bundle
    from ussearch.serving.triton import write_triton

    folder = write_triton(Bundle.load(bundle), repository)
    if not quiet:
        console.print(f"Triton model: {folder}", soft_wrap=True)
