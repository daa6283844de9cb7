"""The weights that all architectures of a space share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.func import functional_call

from ussearch import schema
from ussearch.accelerators import state_on_host
from ussearch.errors import UserError
from ussearch.evaluators.shared.drawing import AllOutputs, Drawing, Share
from ussearch.evaluators.shared.extents import TensorExtent
from ussearch.files import write_atomically
from ussearch.search_spaces import Network, build


class UnknownWeights(Exception):
    """An architecture asks for weights that the store does not hold; nothing is ever made up in their place."""


class WeightStore:
    """Shared tensors by role, each as large as the largest slice that was asked of it while it was trained.

    A slice takes the first channels of every segment and the centre of a kernel. What no training has asked for is not
    there: an architecture that needs it has no drawn weights.
    """

    def __init__(self, seed: int = 0, device: torch.device | str = "cpu") -> None:
        self.seed, self.device = seed, torch.device(device)
        self.extents: dict[str, TensorExtent] = {}
        self.tensors: dict[str, Tensor] = {}

    def grow(self, drawing: Drawing) -> dict[str, TensorExtent]:
        """Make room for an architecture; return the former extents of tensors that were there and grew.

        New places start at random by (seed, role, size), whatever came before.
        """
        former: dict[str, TensorExtent] = {}
        for share in drawing.shares.values():
            known = self.extents.get(share.role)
            if known is not None and known.holds(share):
                continue
            extent = TensorExtent.of(share) if known is None else known.with_room_for(share)
            value = extent.fresh(share.role, self.seed).to(self.device)
            if known is not None:
                known.copy_into(value, extent, self.tensors[share.role].detach())
                former[share.role] = known
            self.extents[share.role] = extent
            self.tensors[share.role] = value.requires_grad_()
        return former

    def covers(self, drawing: Drawing) -> bool:
        """Return whether every weight of an architecture is here."""
        return all(
            share.role in self.extents and self.extents[share.role].holds(share) for share in drawing.shares.values()
        )

    def draw(self, drawing: Drawing) -> dict[str, Tensor]:
        """Return the parameters of an architecture as slices through which gradients reach the store.

        Raises UnknownWeights where a role is missing or a slice would be larger than what is here.
        """
        return {name: self._slice(share) for name, share in drawing.shares.items()}

    def forward_all(self, drawing: Drawing, images: Tensor, *, slope: float = 1.0) -> tuple[Tensor, ...]:
        """Return every output of the drawn network in training mode for ``images`` [B, C, H, W] (normalised).

        ``slope`` is λ of deep training. The network is the plain one, called with the drawn weights.
        """
        values = {**self.draw(drawing), **drawing.fresh_buffers(images.device, slope)}
        call = AllOutputs(drawing.network.train())
        outputs: tuple[Tensor, ...] = functional_call(
            call, {f"network.{name}": value for name, value in values.items()}, (images,)
        )
        return outputs

    @torch.no_grad()
    def instantiate(self, drawing: Drawing, slope: float = 1.0) -> Network:
        """Return a network of its own with the drawn weights, statistics not yet seen, on the store's device."""
        network = build(drawing.architecture, device="meta").to_empty(device=self.device)
        values = {**self.draw(drawing), **drawing.fresh_buffers(self.device, slope)}
        network.load_state_dict(values, strict=True)
        return network

    def save(self, path: Path) -> None:
        """Write the weights as safetensors, with their extents as metadata."""
        header = schema.SHARED_WEIGHTS.header(self.metadata())
        write_atomically(path, save(state_on_host(self.tensors), header))

    def metadata(self) -> dict[str, str]:
        """Return what a file must say besides the tensors."""
        extents = {role: [each.segments, each.kernel, each.fill] for role, each in self.extents.items()}
        return {"seed": str(self.seed), "extents": json.dumps(extents)}

    @classmethod
    def load(cls, path: Path, device: torch.device | str = "cpu") -> WeightStore:
        """Read what ``save`` wrote; raises UserError where the file is damaged."""
        try:
            with safe_open(path, "pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                return cls.restored(schema.SHARED_WEIGHTS.from_header(file.metadata(), str(path)), tensors, device)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{path} holds no shared weights that can be read ({str(error)[:200]}): delete it to train them anew."
            ) from error

    @classmethod
    def restored(
        cls, metadata: Mapping[str, str], tensors: Mapping[str, Tensor], device: torch.device | str = "cpu"
    ) -> WeightStore:
        """Return a store from metadata and tensors by role; raises ValueError or KeyError where they disagree."""
        store = cls(int(metadata["seed"]), device)
        for role, (segments, kernel, fill) in json.loads(metadata["extents"]).items():
            extent = TensorExtent(tuple(map(tuple, segments)), tuple(kernel), fill)
            if tuple(tensors[role].shape) != extent.shape:
                raise ValueError(f"{role} has the shape {tuple(tensors[role].shape)}, not {extent.shape}")
            store.extents[role] = extent
            store.tensors[role] = tensors[role].to(store.device).requires_grad_()
        return store

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel by way of the CPU: a worker may see other cards."""
        return WeightStore.restored, (self.metadata(), state_on_host(self.tensors), self.device)

    def zero_grad(self, roles: Iterable[str] | None = None) -> None:
        """Forget the gradients of all tensors, or of those of some roles."""
        for role in self.tensors if roles is None else roles:
            self.tensors[role].grad = None

    def _slice(self, share: Share) -> Tensor:
        extent = self.extents.get(share.role)
        if extent is None:
            raise UnknownWeights(f"the shared weights hold no {share.role}")
        if not extent.holds(share):
            raise UnknownWeights(f"the shared weights of {share.role} are {extent.shape}, smaller than what is drawn")
        value = self.tensors[share.role]
        for dimension, ranges in enumerate(extent.parts(share.segments, share.kernel)):
            if ranges != [(0, value.shape[dimension])]:
                parts = [value.narrow(dimension, start, length) for start, length in ranges]
                value = parts[0] if len(parts) == 1 else torch.cat(parts, dimension)
        return value
