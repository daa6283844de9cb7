#!/usr/bin/env python3
# ruff: noqa: B905, PTH105, T201, UP006, UP022, UP035, UP045
# NOTE: this file also runs on boards: Python 3.6 syntax, standard library, numpy and onnxruntime (or trtexec) only.
"""Measure the latency of ONNX files on this machine and write one line a file to a CSV.

    python3 measure.py [--out results.csv] [--threads N] [MODEL.onnx ...]     default: every file of models/

Each model runs in a process of its own, pinned to as many cores as it has threads, after a warm-up that lasts until
its times settle, in several rounds over all models. Between short stretches of runs a small matrix product tells how
fast the core is at that moment: only stretches with the core at its best make a model's latency, and models that met
too few of them are measured again. With trtexec on the machine (NVIDIA boards) that is what is measured, otherwise
onnxruntime. With run_edge.py beside this file its post-processing of masks is measured, too.
"""

import argparse
import csv
import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

HERE = Path(__file__).resolve().parent
OWN_NAME = "measure.py: "
TRTEXEC_PLACES = ("/usr/src/tensorrt/bin/trtexec", "/opt/tensorrt/bin/trtexec")
COLUMNS = [
    "model",
    "sha256",
    "runtime",
    "runtime_version",
    "provider",
    "precision",
    "threads",
    "rounds",
    "runs",
    "latency_ms",
    "p50_ms",
    "p90_ms",
    "p95_ms",
    "p99_ms",
    "sd_ms",
    "spread",
    "peak_rss_mib",
    "base_rss_mib",
    "busy",
    "reference_ms",
    "slowed",
    "machine",
    "inputs",
    "postprocessing_ms",
    "postprocessing_call_ms",
]
BUSY = 0.1
"""Share of the processors' time that others may take before a measurement is called disturbed."""
STRETCH_S = 0.025
"""How long a model runs between two matrix products; a core's speed changes within tens of milliseconds."""
AT_ITS_BEST = 1.05
"""How much longer the matrix product may take beside a stretch than at its fastest for the stretch to count: another
tenant of the same core, or a lower clock, make it take longer.
"""
ENOUGH = 6
"""Stretches with the core at its best that settle a latency."""
FASTEST_SHARE = 50
"""The core's best is the fastest fiftieth of the matrix products: the very fastest is luck of the clock."""
REFERENCE_SIDE, REFERENCE_RUNS = 192, 5
PERCENTILES = (50, 90, 95, 99)
WARM_UP_S = 2.0
WARM_UP_WINDOW = 5
WARM_UP_TOLERANCE = 0.03
MIN_RUNS = 5
MAX_RUNS = 1000
NODE_RUNS = 20
NODE_SECONDS = 0.4
TIMEOUT_S = 1800
FED_TYPES = ["float16", "bool"] + [sign + "int" + bits for sign in ("", "u") for bits in ("8", "16", "32", "64")]
NUMPY_NAMES = dict({"float": "float32", "double": "float64"}, **{each: each for each in FED_TYPES})
"""Element types that onnxruntime takes from numpy, as it calls them: numpy has no bfloat16, and text is no image."""
RUNNER = "run_edge.py"
MASKS, MASK_TURNS = 60, 5
MASK_SIDES = (256, 64)
CELLS = ((4, 3.0), (16, 2.0), (64, 0.3))
"""(Cells a side, weight) of the noise that makes up masks: their post-processing takes as long as that of a network's
answers on BUSI, to a twentieth at the 99th percentile.
"""
STEPS = {
    "threshold": 0.5,
    "connectivity": 8,
    "smallest_lesion": 1,
    "presence": {"score": "peak", "slope": 4.4, "intercept": -2.2, "threshold": 0.62},
    "most_lesions": None,
}
OPEN_SIDES = (256, 224, 512, 640)
"""Heights and widths that are tried in turn where the file leaves them open: most networks take the first."""
OPEN_SIDES_3D = (64, 128)
OPEN_CHANNELS = (1, 3)
GREY_LEVELS = (255, 1)
"""Highest values that are fed, tried in turn: integers may be indices into a short table."""


class MeasurementError(Exception):
    """Something that stops a measurement; the message is one sentence that names the mend."""


# ---------------------------------------------------------------- one model, in this process


def measure_one(path: Path, threads: int, seconds: float, provider: str, nodes: bool) -> Dict[str, Any]:
    """Return what one model takes with onnxruntime in this very process."""
    pin(threads)
    import numpy as np
    import onnxruntime

    base = resident_mib()
    session = open_session(onnxruntime, path, threads, provider)
    feeds, inputs = feeds_of(session, np)
    names = [output.name for output in session.get_outputs()]

    def run() -> float:
        start = time.perf_counter()
        session.run(names, feeds)
        return (time.perf_counter() - start) * 1000

    warm_up(run)
    before = processor_seconds()
    stretches = timed(np, run, seconds)
    busy = busy_share(before, processor_seconds())
    row = {
        "stretches": stretches,
        "runtime": "onnxruntime",
        "runtime_version": onnxruntime.__version__,
        "provider": session.get_providers()[0],
        "precision": "fp32",
        "threads": threads,
        "peak_rss_mib": peak_resident_mib(),
        "base_rss_mib": base,
        "busy": busy,
        "inputs": inputs,
    }
    if nodes:
        row["nodes"] = node_times(onnxruntime, feeds, path, threads, provider)
    return row


def open_session(onnxruntime: Any, path: Path, threads: int, provider: str, prefix: Optional[str] = None) -> Any:
    """Return a session at full optimisation; with ``prefix`` it records what every node takes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # NOTE: plans memory for repeated shapes, on top of what it holds already
    options.log_severity_level = 3
    if prefix:
        options.enable_profiling = True
        options.profile_file_prefix = prefix
    available = onnxruntime.get_available_providers()
    wanted = provider or ("CUDAExecutionProvider" if "CUDAExecutionProvider" in available else "CPUExecutionProvider")
    if wanted not in available:
        raise MeasurementError(
            f"onnxruntime has no {wanted} here, only {', '.join(available)}: choose another --provider."
        )
    return onnxruntime.InferenceSession(str(path), options, providers=[wanted])


def feeds_of(session: Any, np: Any) -> Tuple[Dict[str, Any], List[Dict[str, Any]]]:
    """Return one grey image for every input of the model, in the type that it asks for, and what each of them is.

    Sizes that the file leaves open are guesses: the first with which the model runs.
    """
    asked = [(each.name, numpy_name(each), list(each.shape)) for each in session.get_inputs()]
    refusal = None  # type: Optional[Exception]
    for shapes, highest in guesses(asked):
        generator = np.random.RandomState(0)
        feeds = {name: grey(generator, np, kind, shapes[name], highest) for name, kind, _ in asked}
        try:
            session.run(None, feeds)
        except Exception as error:  # NOTE: onnxruntime's exceptions share no base class but this one
            refusal = refusal or error
            continue
        return feeds, [fed(name, kind, shape, shapes[name]) for name, kind, shape in asked]
    reason = " ".join(str(refusal).split())
    if any(is_open(size) for _, _, shape in asked for size in shape or [None]):
        raise MeasurementError(
            "the file leaves sizes open, and onnxruntime takes none of those tried: export it with fixed sizes; "
            + reason
        )
    raise MeasurementError(reason)


def numpy_name(value: Any) -> str:
    """Return what numpy calls the type of an input, which onnxruntime writes as ``tensor(float)``."""
    found = re.match(r"tensor\((\w+)\)$", value.type)
    if not found or found.group(1) not in NUMPY_NAMES:
        raise MeasurementError(
            f"its input {printable(value.name)} is {value.type}, and only tensors of numbers can be fed: "
            "export the network with an input of float32"
        )
    return NUMPY_NAMES[found.group(1)]


def guesses(asked: List[Any]) -> Iterator[Tuple[Dict[str, List[int]], int]]:
    """Yield what to try, the likeliest first: (the shape of every input, the highest value); each once.

    onnxruntime tells no shape both of scalars and of inputs whose file says nothing: these are scalars beside another
    input with a shape, and images where there is none.
    """
    whole = any("int" in kind for _, kind, _ in asked)
    images = not any(shape for _, _, shape in asked)
    seen = []  # type: List[Any]
    for as_image in (images, not images):
        for turn in range(len(OPEN_SIDES)):
            for channels in OPEN_CHANNELS:
                sizes = {}  # type: Dict[str, int]
                shapes = {
                    name: filled(shape or ([None] * 4 if as_image else []), turn, channels, sizes)
                    for name, _, shape in asked
                }
                if shapes not in seen:
                    seen.append(shapes)
                    for highest in GREY_LEVELS if whole else GREY_LEVELS[:1]:
                        yield shapes, highest


def filled(shape: List[Any], turn: int, channels: int, sizes: Dict[str, int]) -> List[int]:
    """Return a shape with every open size filled; those of one name are the same in all inputs."""
    sides = OPEN_SIDES_3D if len(shape) > 4 else OPEN_SIDES
    side = sides[min(turn, len(sides) - 1)]
    last = len(shape) > 3 and isinstance(shape[-1], int) and 0 < shape[-1] <= 4  # NOTE: channels behind the pixels
    guessed = [1, side if last or len(shape) < 4 else channels] + [side] * len(shape)
    return [
        size if not is_open(size) else sizes.setdefault(size, guess) if isinstance(size, str) else guess
        for size, guess in zip(shape, guessed)
    ]


def is_open(size: Any) -> bool:
    """Tell whether a file leaves a size open: it is a name or nothing."""
    return not isinstance(size, int) or size < 0


def grey(generator: Any, np: Any, kind: str, shape: List[int], highest: int) -> Any:
    """Return random values from nought to ``highest`` in a type of numpy, or within it."""
    values = np.asarray(generator.rand(*shape) * (min(highest, 127) if kind == "int8" else highest))
    return values > highest / 2 if kind == "bool" else values.astype(kind)


def fed(name: str, kind: str, shape: List[Any], chosen: List[int]) -> Dict[str, Any]:
    """Return what stands in the result about an input; ``chosen`` are the places of sizes that are guesses."""
    places = [place for place in range(len(chosen)) if not shape or is_open(shape[place])]
    return {"name": name, "type": kind, "shape": chosen, "chosen": places}


def inputs_text(inputs: List[Dict[str, Any]]) -> str:
    """Return the inputs as one reads them: ``image float32 1x3x256x256 (256x256 chosen, open in the file)``."""
    texts = []
    for each in inputs:
        sizes = "x".join(str(size) for size in each["shape"]) or "scalar"
        guessed = "x".join(str(each["shape"][place]) for place in each["chosen"])
        said = " ".join(part for part in (printable(each["name"]), each["type"], sizes) if part)
        texts.append(said + (f" ({guessed} chosen, open in the file)" if guessed else ""))
    return "; ".join(texts)


def printable(name: str) -> str:
    """Return a name from a file as it can be shown."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:200])


def warm_up(run: Any) -> None:
    """Run until the median of a few runs no longer differs from that of the few before, or for two seconds."""
    times = []  # type: List[float]
    start = time.perf_counter()
    while time.perf_counter() - start < WARM_UP_S:
        times.append(run())
        if len(times) >= 2 * WARM_UP_WINDOW:
            now, earlier = (sorted(part)[WARM_UP_WINDOW // 2] for part in (times[-5:], times[-10:-5]))
            if abs(now - earlier) <= WARM_UP_TOLERANCE * earlier:
                return


def timed(np: Any, run: Any, seconds: float) -> List[Any]:
    """Return stretches of runs for as long as asked: (the matrix product's slower time on its two sides, their times).

    The first run after a matrix product does not count where others follow: it finds another cache.
    """
    stretches = []  # type: List[Any]
    runs, start = 0, time.perf_counter()
    before = reference(np)
    while runs < MIN_RUNS or (time.perf_counter() - start < seconds and runs < MAX_RUNS):
        times, began = [run()], time.perf_counter()
        while time.perf_counter() - began < STRETCH_S - times[0] / 1000:
            times.append(run())
        after = reference(np)
        stretches.append((max(before, after), times[1:] or times))
        runs += len(stretches[-1][1])
        before = after
    return stretches


def reference(np: Any) -> float:
    """Return the milliseconds of a small matrix product: how fast this core is right now."""
    matrix = np.ones((REFERENCE_SIDE, REFERENCE_SIDE), np.float32)
    times = []
    for _ in range(REFERENCE_RUNS):
        start = time.perf_counter()
        matrix.dot(matrix)
        times.append((time.perf_counter() - start) * 1000)
    return sorted(times)[REFERENCE_RUNS // 2]


def node_times(onnxruntime: Any, feeds: Dict[str, Any], path: Path, threads: int, provider: str) -> List[Any]:
    """Return [operator, input shapes, output shape, milliseconds] of every node that the runtime executes.

    The lower quartile over several runs, from onnxruntime's own profile; empty where that version tells no shapes.
    """
    with tempfile.TemporaryDirectory() as folder:
        session = open_session(onnxruntime, path, threads, provider, str(Path(folder) / "nodes"))
        start, runs = time.perf_counter(), 0
        while runs < 3 or (runs < NODE_RUNS and time.perf_counter() - start < NODE_SECONDS):
            session.run(None, feeds)
            runs += 1
        events = json.loads(Path(session.end_profiling()).read_text())
    found = [each for each in events if each.get("cat") == "Node" and each["name"].endswith("_kernel_time")]
    if not found or len(found) % runs or "output_type_shape" not in found[0]["args"]:
        return []
    count = len(found) // runs
    rows = []
    for index in range(count):
        facts = found[index]["args"]
        durations = sorted(found[turn * count + index]["dur"] for turn in range(runs))
        shapes = [next(iter(each.values())) for each in facts["input_type_shape"]]
        outputs = [next(iter(each.values())) for each in facts["output_type_shape"]]
        rows.append([facts["op_name"], shapes, outputs[0] if outputs else [], durations[runs // 4] / 1000])
    return rows


# ---------------------------------------------------------------- post-processing


def measure_postprocessing(runner: Path) -> Dict[str, float]:
    """Return the milliseconds of the post-processing in run_edge.py at 256x256 pixels, and those of a call alone.

    99 of 100 masks do not take longer, threshold and sigmoid not counted. What does not depend on the pixels is found
    from two sizes. Raises ImportError where run_edge.py cannot be loaded.
    """
    import numpy as np

    spec = importlib.util.spec_from_file_location("run_edge", str(runner))  # type: Any
    run_edge = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(run_edge)
    large_ms, small_ms = (masks_ms(np, run_edge, side) for side in MASK_SIDES)
    pixels = (MASK_SIDES[0] / MASK_SIDES[1]) ** 2
    call_ms = (pixels * small_ms - large_ms) / (pixels - 1)
    return {"postprocessing_ms": large_ms, "postprocessing_call_ms": min(max(call_ms, 0.0), large_ms)}


def masks_ms(np: Any, run_edge: Any, side: int) -> float:
    """Return the 99th percentile over made-up masks of the fastest of several turns each."""
    generator = np.random.RandomState(0)
    masks = [made_up(np, generator, side) for _ in range(MASKS)]
    fastest = [float("inf")] * MASKS
    for turn in range(MASK_TURNS + 1):
        for number, probabilities in enumerate(masks):
            begun_s = time.perf_counter()
            run_edge.lesion_mask(probabilities, STEPS)
            between_s = time.perf_counter()
            np.greater_equal(probabilities, np.float32(STEPS["threshold"]))
            taken_s = between_s - begun_s - (time.perf_counter() - between_s)
            if turn:  # the first turn is for the caches
                fastest[number] = min(fastest[number], max(taken_s, 0.0) * 1000)
    return float(np.percentile(fastest, 99))


def made_up(np: Any, generator: Any, side: int) -> Any:
    """Return probabilities float32 [side, side] in which lesions are as many and as ragged as a network's."""
    logits = np.full((side, side), -5.0)
    for cells, weight in CELLS:
        logits += weight * np.kron(generator.randn(cells, cells), np.ones((side // cells, side // cells)))
    return (1 / (1 + np.exp(-logits))).astype(np.float32)


# ---------------------------------------------------------------- the machine


def pin(threads: int) -> None:
    """Keep this process on its last ``threads`` processors, where the system allows it."""
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, allowed[-threads:])


def processor_seconds() -> Optional[List[float]]:
    """Return [wall, all processors busy, this process and its children] in seconds, or None where nobody tells."""
    try:
        fields = [int(each) for each in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    except (OSError, ValueError, IndexError):
        return None
    ticks = os.sysconf("SC_CLK_TCK")
    own = os.times()
    return [time.time(), (sum(fields) - fields[3] - fields[4]) / ticks, sum(own[:4])]


def busy_share(before: Optional[List[float]], after: Optional[List[float]]) -> Optional[float]:
    """Return the share of all processors' time that other processes took in between (also a hypervisor's)."""
    if before is None or after is None:
        return None
    wall, busy, own = (late - early for late, early in zip(after, before))
    available = wall * (os.cpu_count() or 1)
    return round(max(0.0, (busy - own) / available), 3) if available > 0 else None


def resident_mib() -> float:
    """Return the memory that this process holds now."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2.0**20
    except (OSError, ValueError, IndexError):
        return peak_resident_mib()


def peak_resident_mib() -> float:
    """Return the most memory that this process has held since it began."""
    try:
        # NOTE: getrusage also counts the parent's memory at the moment of the fork
        found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
        if found:
            return int(found.group(1)) / 1024.0
    except OSError:
        pass
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2.0**20 if sys.platform == "darwin" else peak / 1024.0


def machine() -> str:
    """Return what the processor or board calls itself."""
    for path, pattern in (("/proc/device-tree/model", r"(.+)"), ("/proc/cpuinfo", r"model name\s*:\s*(.+)")):
        try:
            match = re.search(pattern, Path(path).read_text(errors="replace").strip("\0"))
        except OSError:
            continue
        if match:
            return f"{match.group(1).strip()}, {os.cpu_count()} processors"
    return f"{platform.machine()}, {os.cpu_count()} processors"


# ---------------------------------------------------------------- all models


def measure_all(models: List[Path], options: Any, say: Any = print) -> List[Dict[str, Any]]:
    """Measure every model in every round and return one row each.

    Rounds go on with the models that met the core at its best too seldom, for ``options.patience`` seconds at most.
    """
    found = {path.name: [] for path in models}  # type: Dict[str, List[Dict[str, Any]]]
    left, turn, deadline = list(models), 0, None  # type: List[Path], int, Optional[float]
    while left and (turn < options.rounds or time.monotonic() < (deadline or 0.0)):
        again = " (again: the machine was slow)" if turn >= options.rounds else ""
        for number, path in enumerate(left):
            row = measure_apart(path, options)
            found[path.name].append(row)
            say(f"round {turn + 1}{again}  {number + 1}/{len(left)}  {path.name}  {middle_of(row):.2f} ms")
        turn += 1
        if turn == options.rounds:
            deadline = time.monotonic() + options.patience
        if turn >= options.rounds:
            left = [path for path in models if unsettled(found[path.name], best_reference(found))]
    best = best_reference(found)
    return [finished(path, found[path.name], best) for path in models]


def middle_of(row: Dict[str, Any]) -> float:
    """Return the median of all runs of a round."""
    if "stretches" not in row:
        return float(row["p50_ms"])
    times = sorted(each for _, part in row["stretches"] for each in part)
    return float(times[len(times) // 2])


def best_reference(found: Dict[str, List[Dict[str, Any]]]) -> float:
    """Return how long the matrix product takes with the core at its best; 0 where nobody measured it."""
    known = sorted(each[0] for rows in found.values() for row in rows for each in row.get("stretches", ()))
    return float(known[len(known) // FASTEST_SHARE]) if known else 0.0


def unsettled(rows: List[Dict[str, Any]], best_ms: float) -> bool:
    """Return whether a model met the core at its best too seldom."""
    references = [each[0] for row in rows for each in row.get("stretches", ())]
    return bool(references) and sum(each <= AT_ITS_BEST * best_ms for each in references) < ENOUGH


def finished(path: Path, rows: List[Dict[str, Any]], best_ms: float) -> Dict[str, Any]:
    """Return the row of a model: its latency with the core at its best, percentiles of all its runs."""
    middles = [middle_of(row) for row in rows]
    result = dict(rows[middles.index(min(middles))], latency_ms=min(middles))
    stretches = [each for row in rows for each in row.get("stretches", ())]
    if stretches:
        result.update(percentiles([each for _, times in stretches for each in times]))
        result.update(undisturbed(stretches, best_ms))
    result.update(
        model=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        rounds=len(rows),
        spread=max(middles) / min(middles) - 1,
        slowed=int(unsettled(rows, best_ms)),
        machine=machine(),
    )
    if result.get("nodes"):
        result["nodes"] = min((row["nodes"] for row in rows), key=lambda nodes: sum(node[-1] for node in nodes))
    return result


def undisturbed(stretches: List[Any], best_ms: float) -> Dict[str, float]:
    """Return the latency with the core at its best, from the medians of stretches.

    The lower quartile of those beside a fast matrix product, which does not see what others do to the cache. Where
    there are too few, the fastest twentieth of all.
    """
    at_best = [each for each in stretches if each[0] <= AT_ITS_BEST * best_ms]
    settled = len(at_best) >= ENOUGH
    chosen = at_best if settled else stretches
    medians = sorted(sorted(times)[len(times) // 2] for _, times in chosen)
    references = sorted(each[0] for each in chosen)
    share = 4 if settled else 20
    return {"latency_ms": medians[len(medians) // share], "reference_ms": references[len(references) // share]}


def percentiles(times_ms: List[float]) -> Dict[str, Any]:
    """Return percentiles, spread and number of runs."""
    ordered = sorted(times_ms)
    count = len(ordered)
    mean = sum(ordered) / count
    row = {f"p{share}_ms": ordered[min(count - 1, count * share // 100)] for share in PERCENTILES}
    row["sd_ms"] = (sum((each - mean) ** 2 for each in ordered) / count) ** 0.5
    row["runs"] = count
    return row


def measure_apart(path: Path, options: Any) -> Dict[str, Any]:
    """Measure one model in a process of its own."""
    if options.trtexec:
        return measure_trtexec(path, options)
    command = [sys.executable, str(Path(__file__).resolve()), "--one", str(path)]
    command += ["--threads", str(options.threads), "--seconds", str(options.seconds), "--provider", options.provider]
    row = json.loads(output_of(command + (["--nodes"] if options.nodes else []), path)[0].splitlines()[-1])
    return dict(row)


def measure_trtexec(path: Path, options: Any) -> Dict[str, Any]:
    """Measure one model with TensorRT's own program, which builds it for this board first."""
    command = [options.trtexec, f"--onnx={path}", "--workspace=1024", "--warmUp=500", "--avgRuns=10"]
    command += [f"--duration={max(1, int(options.seconds))}"] + (["--fp16"] if options.precision == "fp16" else [])
    before = processor_seconds()
    text, complaints = output_of(command, path)
    row = parse_trtexec(text)
    row["inputs"] = filled_by_trtexec(text + complaints, path)
    row.update(runtime="TensorRT", provider="trtexec", precision=options.precision, threads=0)
    row["busy"] = busy_share(before, processor_seconds())
    return row


def filled_by_trtexec(text: str, path: Path) -> List[Dict[str, Any]]:
    """Return the inputs whose open sizes trtexec says it filled: by ones. Raises MeasurementError where pixels are."""
    inputs = []
    for name, shape in re.findall(r"required for input: (.+?), but .* overriding shape to: *(\d+(?:x\d+)*)", text):
        sizes = [int(size) for size in shape.split("x")]
        ones = [place for place, size in enumerate(sizes) if size == 1]
        if len(sizes) > 2 and (sizes[-1] == 1 or len(ones) > 2):
            raise MeasurementError(
                f"{path.name} leaves sizes open, and trtexec takes {shape}: export it with fixed sizes."
            )
        inputs.append({"name": name, "type": "", "shape": sizes, "chosen": ones})
    return inputs


def parse_trtexec(text: str) -> Dict[str, Any]:
    """Return the figures that trtexec (TensorRT 8) prints about the computing on the GPU."""
    line = re.search(r"GPU Compute(?: Time)?: *(min = .+)", text) or re.search(r"Latency: *(min = .+)", text)
    if not line:
        raise MeasurementError("trtexec printed no latency: run it by hand to see why.")
    found = dict(re.findall(r"(min|max|mean|median|percentile\(\d+%\)) = ([0-9.]+) ms", line.group(1)))
    version = re.search(r"TensorRT(?: version:|\.trtexec \[TensorRT) *v?([0-9.]+)", text)
    runs = re.search(r"(\d+) (?:queries|iterations)", text)
    median, worst = float(found["median"]), float(found["max"])
    last = float(found.get("percentile(99%)", worst))
    return {
        "runtime_version": version.group(1) if version else "",
        "runs": int(runs.group(1)) if runs else 0,
        "p50_ms": median,
        "p90_ms": float(found.get("percentile(90%)", last)),
        "p95_ms": float(found.get("percentile(95%)", last)),
        "p99_ms": last,
        "sd_ms": "",
        "peak_rss_mib": "",
        "base_rss_mib": "",
    }


def output_of(command: List[str], path: Path) -> Tuple[str, str]:
    """Return what a command prints to its two streams; raises MeasurementError with its last line where it fails."""
    environment = dict(os.environ, OMP_WAIT_POLICY="PASSIVE", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise MeasurementError(f"{path.name} took longer than {TIMEOUT_S // 60} minutes: leave it out.") from None
    text, complaints = (each.decode("utf-8", "replace") for each in (done.stdout, done.stderr))
    if done.returncode:
        filled_by_trtexec(text + complaints, path)
        last = ((complaints or text).strip().splitlines() or ["no message"])[-1]
        reason = last[len(OWN_NAME) :] if last.startswith(OWN_NAME) else last
        raise MeasurementError(f"{path.name} cannot be measured ({reason[:300].rstrip('.')}).")
    return text, complaints


# ---------------------------------------------------------------- the program


def write_results(path: Path, rows: List[Dict[str, Any]]) -> None:
    """Write the CSV and, where the runtime tells, what every node takes beside it; a rename makes both whole."""
    partial = path.with_name(path.name + ".part")
    with partial.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows([{key: shown(row.get(key)) for key in COLUMNS} for row in rows])
    nodes = {row["model"]: row["nodes"] for row in rows if row.get("nodes")}
    if nodes:
        beside = path.with_suffix(".nodes.json")
        beside.write_text(json.dumps(nodes))
    os.replace(str(partial), str(path))


def shown(value: Any) -> Any:
    """Return a value as it stands in the CSV; the only list is that of inputs."""
    if isinstance(value, list):
        return inputs_text(value)
    return "" if value is None else round(value, 5) if isinstance(value, float) else value


def parsed(arguments: Optional[List[str]]) -> Any:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description="Measure the latency of ONNX files on this machine.")
    parser.add_argument("models", nargs="*", type=Path, help="model files; default: every file of models/ beside this")
    parser.add_argument("--out", type=Path, default=HERE / "results.csv", help="where to write (default: beside this)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="threads of onnxruntime")
    parser.add_argument("--rounds", type=int, default=3, help="how often every model is measured")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each model runs in a round")
    parser.add_argument(
        "--patience",
        type=float,
        default=300.0,
        help="for how many seconds to go on with models that only met a slowed core",
    )
    parser.add_argument("--provider", default="", help="onnxruntime's execution provider (default: CUDA if there)")
    parser.add_argument("--precision", choices=["fp16", "fp32"], default="fp16", help="of trtexec")
    parser.add_argument("--runtime", choices=["auto", "onnxruntime", "trtexec"], default="auto")
    parser.add_argument("--nodes", action="store_true", default=None, help=argparse.SUPPRESS)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.threads < 1 or options.rounds < 1 or options.seconds <= 0:
        parser.error("--threads, --rounds and --seconds must be positive")
    options.trtexec = None if options.runtime == "onnxruntime" else find_trtexec()
    if options.runtime == "trtexec" and not options.trtexec:
        parser.error("trtexec was not found: install TensorRT or use --runtime onnxruntime")
    return options


def find_trtexec() -> Optional[str]:
    """Return the path of trtexec, if it is there."""
    return shutil.which("trtexec") or next((place for place in TRTEXEC_PLACES if Path(place).is_file()), None)


def main(arguments: Optional[List[str]] = None) -> int:
    """Measure and write."""
    options = parsed(arguments)
    try:
        if options.one:
            print(
                json.dumps(measure_one(options.one, options.threads, options.seconds, options.provider, options.nodes))
            )
            return 0
        models = options.models or sorted((HERE / "models").glob("*.onnx"))
        missing = [str(path) for path in models if not path.is_file()]
        if missing or not models:
            raise MeasurementError(
                f"No model at {missing[0] if missing else HERE / 'models'}: give paths of ONNX files."
            )
        options.nodes = True
        rows = measure_all(models, options, lambda text: print(text, flush=True))
        if (HERE / RUNNER).is_file():
            try:
                found = measure_postprocessing(HERE / RUNNER)
                rows = [dict(row, **found) for row in rows]
            except ImportError as problem:
                print(f"Post-processing is not measured: {problem}.")
        write_results(options.out, rows)
    except MeasurementError as problem:
        print(f"{OWN_NAME}{problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{OWN_NAME}interrupted, nothing written.", file=sys.stderr)
        return 130
    disturbed = [row["model"] for row in rows if (row.get("busy") or 0) > BUSY or row["slowed"]]
    if disturbed:
        print(f"{len(disturbed)} of {len(rows)} models never ran undisturbed: repeat when nothing else runs.")
    print(f"Wrote {options.out}: {len(rows)} models.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
