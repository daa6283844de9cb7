"""``ussearch run``: from a data set and a device to a verified pair."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    profile: Annotated[str, typer.Option(help="Edge device, such as jetson-nano (see: ussearch profiles).")],
    data: Annotated[Path | None, typer.Option(help="Data set; the built-in phantoms where left out.")] = None,
    cloud_profile: Annotated[str, typer.Option(help="Where the strong network runs.")] = "x86-server",
    trials: Annotated[int | None, typer.Option(help="Candidates to train, presets included.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Length of each candidate's training.")] = None,
    final_epochs: Annotated[int | None, typer.Option(help="Length of the full training of the pair.")] = None,
    final_seeds: Annotated[int | None, typer.Option(help="Full trainings of each network; the best is kept.")] = None,
    halving: Annotated[bool, typer.Option("--halving", help="Train brackets; only the best thirds go on.")] = False,
    image_size: Annotated[int | None, typer.Option(help="Side in pixels, a multiple of 32.")] = None,
    recipe: Annotated[Path | None, typer.Option(help="YAML with other settings of the training recipe.")] = None,
    budget: Annotated[str | None, typer.Option(help="Time for all training, such as 30m; decides the trials.")] = None,
    study: Annotated[Path | None, typer.Option(help="Folder of the study; a new one below studies/ else.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the study; nothing finished is lost.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder of the bundle; inside the study else.")] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    seed_presets: Annotated[str | None, typer.Option(help="Published networks to start from: NAME,NAME…")] = None,
    sampler: Annotated[str, typer.Option(help="nsgaii, nsgaiii, tpe, random or surrogate.")] = "nsgaii",
    evaluator: Annotated[
        str,
        typer.Option(help="train every candidate; shared or auto: judge most by cheaper means, where trusted."),
    ] = "train",
    edge_share: Annotated[float, typer.Option(help="Share of sampled trials drawn for the device.")] = 0.5,
    offload_share: Annotated[
        float | None, typer.Option(help="Share of images that may go to the cloud; default: 0.2 where that pays.")
    ] = None,
    split_file: Annotated[Path | None, typer.Option(help="Published split to use.")] = None,
    reader: Annotated[str | None, typer.Option(help="Layout of the data, instead of recognising it.")] = None,
    phantoms: Annotated[int, typer.Option(help="How many phantoms, where no data is given.")] = 300,
    profiles_dir: Annotated[Path | None, typer.Option(help="Folder with profiles of your own.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda: where training runs.")] = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads of each worker, or of one where only this is given.")] = 0,
    workers: Annotated[
        int | None, typer.Option(help="Trials trained at a time; part of the study. One a core else, at most 4.")
    ] = None,
    ray: Annotated[str | None, typer.Option(help="Train on this Ray cluster: auto or HOST:PORT.")] = None,
    storage: Annotated[str | None, typer.Option(help="Database of the study, such as postgresql://HOST/NAME.")] = None,
    compress: Annotated[bool, typer.Option(help="Prune, distil and quantise the edge network, where it helps.")] = True,
    trial_timeout: Annotated[str | None, typer.Option(help="Longest a trial may take, such as 2h.")] = None,
    timings: Annotated[bool, typer.Option("--timings", help="Print where the time went.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and train nothing.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the result (or plan) as JSON.")] = False,
) -> None:
    """Search networks for a device, train the best pair at full length, export and verify it.

    Example: ussearch run --profile jetson-nano --data busi --image-size 256 --study studies/busi
    """
    from ussearch.cli.console import print_json
    from ussearch.cli.interrupts import interruptible
    from ussearch.cli.option_values import seconds_from
    from ussearch.cli.plan_lines import print_plan, print_timings
    from ussearch.cli.progress import RunProgress
    from ussearch.cli.result_lines import print_delivery
    from ussearch.pipeline import run as run_pipeline
    from ussearch.studies.plan import plan
    from ussearch.studies.request import RunRequest

    request = RunRequest(
        profile=profile,
        cloud_profile=cloud_profile,
        profiles_dir=profiles_dir,
        data=data,
        phantoms=phantoms,
        reader=reader,
        split_file=split_file,
        study=study,
        resume=resume,
        out=out,
        trials=trials,
        epochs=epochs,
        final_epochs=final_epochs,
        final_seeds=final_seeds,
        halving=halving,
        image_size=image_size,
        recipe=recipe,
        budget_seconds=seconds_from(budget) if budget is not None else None,
        seed_presets=tuple(name.strip() for name in seed_presets.split(",")) if seed_presets else None,
        edge_share=edge_share,
        offload_share=offload_share,
        compress=compress,
        sampler=sampler,
        evaluator=evaluator,
        seed=seed,
        device=device,
        threads=threads,
        workers=workers,
        ray=ray,
        storage=storage,
        trial_timeout_seconds=seconds_from(trial_timeout) if trial_timeout is not None else None,
    )
    if dry_run:
        made = plan(request)
        print_json(made.to_dict()) if json_output else print_plan(made)
        return
    with interruptible("the same command with --resume continues it"), RunProgress(quiet=json_output) as progress:
        delivery = run_pipeline(request, progress)
    if json_output:
        print_json(delivery.to_dict())
    else:
        print_delivery(delivery)
        if timings:
            print_timings(delivery)
    if not delivery.verification.passed:
        raise typer.Exit(1)
