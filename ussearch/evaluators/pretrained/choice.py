"""``--pretrained auto|off|NAME|FILE``: which networks start from which weights, decided once, before the plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from torch import Tensor

from ussearch.errors import UserError
from ussearch.evaluators.pretrained.lineage import OWN_LICENCE, origins_in
from ussearch.evaluators.pretrained.start import Pretrained, PretrainedStart
from ussearch.evaluators.pretrained.tensors import read_tensors
from ussearch.files import sha256_of
from ussearch.search_spaces import Architecture, build, load_preset
from ussearch.weights import WeightsSource, known_weights, located, require_file
from ussearch.weights.asked import AUTO, OFF, asked_for


def choose(asked: str, networks: Sequence[Architecture]) -> Pretrained:
    """Return what each of ``networks`` starts from.

    ``auto`` takes for each preset the weights that lie on this machine, and never asks the network; a NAME of the
    catalogue must be there, and a FILE too. Raises UserError for what is missing, damaged or fits no network.
    """
    found = asked_for(asked)
    if isinstance(found, str):
        return _automatic(networks) if found == AUTO else Pretrained(asked=OFF)
    if isinstance(found, Path):
        return _own(found, networks)
    return _insisted(asked, found, *require_file(found), networks)


def _insisted(
    asked: str, source: WeightsSource, path: Path, sha256: str, networks: Sequence[Architecture]
) -> Pretrained:
    """Return the starts from a published file that was asked for; raises UserError where no network takes it."""
    starts = [_start(each, path, sha256, source) for each in _taking(source, networks)]
    if not starts:
        takers = f"it is the encoder of {', '.join(source.presets)}" if source.presets else "no preset has this encoder"
        raise UserError(
            f"No network of this run takes the weights {source.name} ({takers}): name a preset that does with "
            "--warm-start, or leave --pretrained out."
        )
    return Pretrained(asked=asked, starts=tuple(starts))


def _taking(source: WeightsSource, networks: Sequence[Architecture]) -> list[Architecture]:
    """Return the networks whose encoder the weights are of."""
    ids = {load_preset(name).architecture.for_task().id for name in source.presets}
    return [network for network in networks if network.id in ids]


def _start(network: Architecture, path: Path, sha256: str, source: WeightsSource | None) -> PretrainedStart:
    """Return the start of a network from a published encoder, or from a file of the user's own without ``source``."""
    return PretrainedStart(
        network=network.name,
        architecture_id=network.id,
        weights=source.name if source else path.name,
        part="encoder" if source else "network",
        file=str(path.resolve()),
        sha256=sha256,
        source=source.source if source else "a file of the user's own",
        licence=source.licence if source else OWN_LICENCE,
        earlier=None if source else origins_in(path),
    )


def _automatic(networks: Sequence[Architecture]) -> Pretrained:
    starts: list[PretrainedStart] = []
    reasons: dict[str, str] = {}
    for source in known_weights():
        taking = _taking(source, networks)
        if taking and located(source) is None:
            hint = f"its weights {source.name} are not on this machine (ussearch weights get {source.name})"
            reasons |= {network.name: hint for network in taking}
        elif taking:
            path, sha256 = require_file(source)
            starts += [_start(network, path, sha256, source) for network in taking]
    return Pretrained(asked=AUTO, starts=tuple(starts), reasons=reasons)


def _own(file: Path, networks: Sequence[Architecture]) -> Pretrained:
    """Return the start of the network whose weights a file holds, or of those that take a published file."""
    sha256, asked = sha256_of(file), str(file)
    known = next((source for source in known_weights() if source.has_digest(sha256)), None)
    if known is not None:
        return _insisted(asked, known, file, sha256, networks)
    tensors = read_tensors(file)
    starts = [_start(network, file, sha256, None) for network in networks if not any(_misfits(tensors, network))]
    if starts:
        return Pretrained(asked=asked, starts=tuple(starts))
    names = ", ".join(network.name for network in networks) or "no network"
    misfit = f" (of {networks[0].name} {next(_misfits(tensors, networks[0]))})" if len(networks) == 1 else ""
    raise UserError(
        f"{file} holds the weights of none of the networks that this run begins with, which are {names}{misfit}: name "
        "its preset or its architecture.yaml with --warm-start; a published encoder must be one of: ussearch weights "
        "list."
    )


def with_earlier(pretrained: Pretrained, files: Mapping[Path, Architecture]) -> Pretrained:
    """Return the starts with those of networks that earlier studies trained, whose weights lie in ``files``.

    Where nothing was to start from weights of others (``off``) these do not either. Raises UserError where a file does
    not hold the weights of its network.
    """
    if pretrained.asked == OFF:
        return pretrained
    starts = []
    for file, network in files.items():
        misfit = next(_misfits(read_tensors(file), network), None)
        if misfit is not None:
            raise UserError(f"{file} does not hold the weights of {network.name} ({misfit}): restore it.")
        starts.append(_start(network, file, sha256_of(file), None))
    return pretrained.model_copy(update={"starts": (*pretrained.starts, *starts)})


def _misfits(tensors: Mapping[str, Tensor], network: Architecture) -> Iterator[str]:
    """Yield in which tensors a file differs from the training form of a network."""
    wanted = build(network, device="meta").state_dict()
    for name, values in wanted.items():
        if name not in tensors:
            yield f"{name} is missing"
        elif tensors[name].shape != values.shape:
            yield f"{name} is {tuple(tensors[name].shape)}, not {tuple(values.shape)}"
    yield from (f"{name} is too many" for name in tensors if name not in wanted)
