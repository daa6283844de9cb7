"""What the way to the cloud costs, and what becomes of images when it fails; loopback, each server in its own process.

Overhead: a network of about 4 ms for 256 x 256 pixels (64 KiB) behind the embedded server. Faults: every fault of the
tests' server, ``--images`` each. Endurance: ``--requests`` with a fault drawn for each, on either side. Writes
``docs/results/serving.md``; the machine should have nothing else to do.

    python benchmarks/serving.py [--images 1000] [--requests 10000]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from served.faults import client_endurance, server_endurance, under
from served.overhead import Overhead, Stretch, at_its_best, network_of, overhead, stretches, throughput
from served.processes import ROOT

from tests.pairs.client.test_faults import FAULTS
from ussearch.hardware_profiles.measuring import measure

REPORT = ROOT / "docs" / "results" / "serving.md"
DEADLINE_MS, WANTED_MS = 100.0, 4.0
ROUND = 400  # stretches of calls in each of four rounds
LIMITS = {"overhead_ms": 2.5, "requests_a_second": 200.0, "late_ms": 10.0, "growth_mib": 5.0}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000, help="images for each fault")
    parser.add_argument("--requests", type=int, default=10000, help="requests of the endurance runs")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each of the three throughput runs")
    parser.add_argument("--out", type=Path, default=REPORT, help="the page")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = folder / "model.onnx"
        alone_ms = network_of(WANTED_MS, model)
        calls = stretches(model, ROUND)
        rates = [throughput(model, 4, arguments.seconds) for _ in range(3)]
        calls += stretches(model, ROUND)
        endurance = endurance_lines(model, arguments.requests)
        calls += stretches(model, ROUND)
        faults = fault_lines(folder, arguments.images)
        calls += stretches(model, ROUND)
    lines = [*overhead_lines(alone_ms, calls), *rate_lines(rates), *endurance, *faults]
    text = "\n".join(
        ["# The way to the cloud", "", f"Written by `python benchmarks/serving.py` on {measure.machine()}.", "", *lines]
    )
    print(text)
    arguments.out.write_text(text + "\n", encoding="utf-8")


def verdict(kept: bool) -> str:
    """Return how a limit fared."""
    return "kept" if kept else "NOT kept"


def overhead_lines(alone_ms: float, calls: Sequence[Stretch]) -> list[str]:
    """Return what a call costs beside the network."""
    return [
        f"A network of {alone_ms:.1f} ms (alone) behind the embedded server, 64 KiB a request, one client; medians of",
        "calls in four rounds between the other measurements. The core is *at its best* where a small matrix product",
        f"beside five calls takes at most {measure.AT_ITS_BEST:g} times as long as at its fastest: on a shared machine",
        "another tenant slows client, server and network by half, for minutes on end. The limit of",
        f"{LIMITS['overhead_ms']} ms is held against those calls.",
        "",
        "| calls | client ms | network ms | overhead ms | limit |",
        "|---|---|---|---|---|",
        overhead_row("core at its best", overhead(at_its_best(calls))),
        overhead_row("all", overhead(calls)),
        "",
    ]


def rate_lines(rates: Sequence[float]) -> list[str]:
    """Return how many requests a second four clients get answered."""
    least = LIMITS["requests_a_second"]
    return [
        f"Four clients: **{max(rates):.0f} requests/s**, best of {', '.join(f'{rate:.0f}' for rate in rates)}",
        f"(limit {least:.0f}: {verdict(max(rates) >= least)}).",
        "",
    ]


def overhead_row(name: str, found: Overhead | None) -> str:
    """Return a row of the table of overheads."""
    if found is None:
        return f"| {name} | too few calls | | | |"
    kept = verdict(found.extra_ms <= LIMITS["overhead_ms"])
    return (
        f"| {name} ({found.calls}) | {found.client_ms:.2f} | {found.model_ms:.2f} | **{found.extra_ms:.2f}** | {kept} |"
    )


def endurance_lines(model: Path, requests: int) -> list[str]:
    """Return what is left after many requests with faults."""
    right, client_mib = client_endurance(requests)
    good, answered, server_mib = server_endurance(model, requests)
    limit = LIMITS["growth_mib"]
    return [
        f"{requests:,} images with a fault drawn for each: {right:,} answered with their own mask; the client grew by",
        f"{client_mib:.1f} MiB over the last nine tenths (limit {limit}: {verdict(client_mib <= limit)}).",
        f"{requests:,} requests, good and broken, to the embedded server: {answered:,} of {good:,} good ones answered;",
        f"it grew by {server_mib:.1f} MiB (limit {limit}: {verdict(server_mib <= limit)}).",
        "",
    ]


def fault_lines(folder: Path, images: int) -> list[str]:
    """Return a table of all faults."""
    lines = [
        f"{images:,} images under each fault, deadline {DEADLINE_MS:.0f} ms, no breaker, four calls at a time and four",
        f"waiting; the 99th percentile may exceed the deadline by {LIMITS['late_ms']:.0f} ms.",
        "",
        "| fault | reasons | p99 ms | all answered with their own mask | in time |",
        "|---|---|---|---|---|",
    ]
    for fault in FAULTS:
        told, p99_ms, right = under(fault, images, DEADLINE_MS, folder)
        in_time = verdict(p99_ms <= DEADLINE_MS + LIMITS["late_ms"])
        lines.append(f"| {fault or 'none'} | {told} | {p99_ms:.1f} | {'yes' if right else 'NO'} | {in_time} |")
    return lines


if __name__ == "__main__":
    main()
