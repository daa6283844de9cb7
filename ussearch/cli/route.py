"""``ussearch route``: another router for a study's pair."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ussearch.pairs import Bundle
    from ussearch.pairs.routing.policies import Policy

POLICIES = ("share", "calls", "latency", "risk")
Share = Annotated[float | None, typer.Option(help="With --policy share: share of images for the cloud, 0 to 1.")]
Calls = Annotated[str | None, typer.Option(help="With --policy calls: N/M, at most N cloud calls in M images.")]


def route(
    study: Annotated[Path, typer.Argument(help="Folder of the study.")],
    policy: Annotated[
        str | None, typer.Option(help="share, calls, latency or risk; else a fifth where that pays, or none.")
    ] = None,
    share: Share = None,
    calls: Calls = None,
    mean_ms: Annotated[float | None, typer.Option(help="With --policy latency: mean time of an answer.")] = None,
    cloud_ms: Annotated[float | None, typer.Option(help="With --policy latency: what the cloud takes more.")] = None,
    edge_ms: Annotated[float | None, typer.Option(help="What the edge takes; as predicted else.")] = None,
    risk: Annotated[float, typer.Option(help="With --policy risk: points of Dice that may be lost on average.")] = 2.0,
    bound: Annotated[float, typer.Option(help="Losses of one image count up to this Dice.")] = 0.5,
    learn: Annotated[bool, typer.Option(help="Learn from out-of-fold trainings; they are kept and resumed.")] = True,
    folds: Annotated[int, typer.Option(help="Into how many parts the images for training are divided.")] = 3,
    bundle: Annotated[Path | None, typer.Option(help="The bundle, if it is not in the study.")] = None,
    data: Annotated[Path | None, typer.Option(help="Where the study's data lies now, if it was moved.")] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or cuda: where training runs.")] = "auto",
    json_output: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Fit the router of a study's pair and rewrite its bundle; the networks stay as they are.

    Example: ussearch route studies/busi --policy risk --risk 2
    """
    from ussearch.cli.console import print_json
    from ussearch.cli.interrupts import interruptible
    from ussearch.cli.progress import RunProgress
    from ussearch.errors import UserError
    from ussearch.pairs import Bundle
    from ussearch.pairs.delivery.router_training import RoutingRequest
    from ussearch.pipeline import route as fit
    from ussearch.process_settings import settle

    settle()
    if folds < 2:
        raise UserError(f"--folds {folds} is not possible: expected at least 2.")
    place = bundle or study / "bundle"
    if policy == "latency" and edge_ms is None:
        edge_ms = _predicted_ms(Bundle.load(place))
    asked = _policy(policy, share, calls, mean_ms=mean_ms, cloud_ms=cloud_ms, edge_ms=edge_ms, risk=risk, bound=bound)
    request = RoutingRequest(asked, learn=learn, folds=folds)
    with interruptible("the same command continues it"), RunProgress(quiet=json_output) as progress:
        done = fit(study, request, bundle=place, data=data, accelerator=accelerator, on_event=progress)
    if json_output:
        print_json({"bundle": str(done.folder), "router": done.manifest.router.model_dump(mode="json")})
    else:
        _show(done, _next(study, bundle, data))


def _next(study: Path, bundle: Path | None, data: Path | None) -> str:
    """Return the command that judges the router, with where its images lie: of a bundle elsewhere, where it says so."""
    from ussearch.studies import Study

    if bundle is not None and data is None:
        root = Study.open(study).config.data.root  # nothing of phantoms
        data = Path(root) if root else None
    place = study if bundle is None else bundle
    return shlex.join(["ussearch", "route-report", str(place), *([] if data is None else ["--data", str(data)])])


def _policy(
    name: str | None,
    share: float | None,
    calls: str | None,
    *,
    mean_ms: float | None,
    cloud_ms: float | None,
    edge_ms: float | None,
    risk: float,
    bound: float,
) -> Policy | None:
    """Return the policy that is asked for; raises UserError where a number is missing or impossible."""
    from ussearch.errors import UserError
    from ussearch.pairs.routing.policies import LatencyPolicy, RiskPolicy, share_policy
    from ussearch.registry import nearest_names

    match name:
        case None:
            return share_policy(share)
        case "share":
            return share_policy(0.2 if share is None else share)
        case "calls":
            return _calls(calls)
        case "risk":
            return RiskPolicy(alpha=risk / 100, bound=bound)
        case "latency":
            if mean_ms is None or cloud_ms is None or edge_ms is None or min(mean_ms, cloud_ms) <= 0 or edge_ms < 0:
                raise UserError("--policy latency needs positive --mean-ms and --cloud-ms: give both in milliseconds.")
            return LatencyPolicy(mean_ms=mean_ms, cloud_ms=cloud_ms, edge_ms=edge_ms)
        case _:
            raise UserError(f"Unknown policy {name!r}: {nearest_names(name, list(POLICIES))}")


def _calls(text: str | None) -> Policy:
    """Return the policy of ``N/M``."""
    from ussearch.errors import UserError
    from ussearch.pairs.routing.policies import CallsPolicy

    calls, _, per = (text or "").partition("/")
    if not (calls.isdecimal() and per.isdecimal() and int(per) > 0):
        raise UserError(f"--calls {text} is not possible: expected N/M, such as 50/1000 for 50 calls in 1000 images.")
    return CallsPolicy(calls=int(calls), per=int(per))


def _predicted_ms(bundle: Bundle) -> float:
    """Return the predicted latency of a bundle's edge network."""
    from ussearch.errors import UserError

    known = bundle.manifest.edge.costs.get("latency_ms")
    if not isinstance(known, (int, float)):
        raise UserError("The bundle knows no latency of its edge network: give --edge-ms.")
    return float(known)


def _show(done: Bundle, following: str) -> None:
    from ussearch.cli.console import console

    router, metrics = done.manifest.router, done.manifest.metrics
    console.print(f"Score: {router.score_reason}.", soft_wrap=True)
    console.print(f"Threshold: {router.reason}.", soft_wrap=True)
    if router.out_of_fold is not None:
        console.print(router.out_of_fold.sentence, soft_wrap=True)
    console.print(
        f"Test images: {metrics.offload_share:.0%} to the cloud, lesion Dice "
        f"{_shown(metrics.edge['lesion_dice'])} edge, {_shown(metrics.routed['lesion_dice'])} pair, "
        f"{_shown(metrics.cloud['lesion_dice'])} cloud.",
        soft_wrap=True,
    )
    console.print(f"Bundle: {done.folder}\nNext: {following}", soft_wrap=True)


def _shown(figure: float | None) -> str:
    return "–" if figure is None else f"{figure:.3f}"
