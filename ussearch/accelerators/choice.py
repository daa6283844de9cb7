"""Which device trains: what ``--accelerator`` means here, and which card each worker gets."""

from __future__ import annotations

import os

import torch

from ussearch.accelerators.cuda import Device, backend, is_card
from ussearch.errors import UserError

VISIBLE = "CUDA_VISIBLE_DEVICES"


def wants_card(accelerator: str) -> bool:
    """Return whether ``auto``, ``cpu``, ``cuda`` or ``cuda:N`` means a card, wherever it is."""
    return backend().count() > 0 if accelerator == "auto" else accelerator.startswith(backend().type)


def choose_device(accelerator: str, *, elsewhere: bool = False) -> torch.device:
    """Return the device of this process for ``auto`` (a card where there is one), ``cpu``, ``cuda`` or ``cuda:N``.

    Where candidates train ``elsewhere``, ``cuda`` asks for cards of a cluster, and this process does without one where
    it sees none. Raises UserError for anything else, and for cards that are not there.
    """
    kind, cards = backend().type, backend().count()
    if accelerator == "auto":
        return torch.device(kind if cards else "cpu")
    try:
        device = torch.device(accelerator)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", kind):
        raise UserError(f"Unknown accelerator {accelerator!r}: expected auto, cpu, cuda or cuda:N.")
    if device.type == "cpu" or (device.index or 0) < cards:
        return torch.device("cpu") if device.type == "cpu" else device
    if elsewhere:
        return torch.device(kind if cards else "cpu")
    if not cards:
        raise UserError(
            f"Accelerator {accelerator!r} is not there: this torch sees no CUDA GPU; use --accelerator cpu."
        )
    raise UserError(
        f"Accelerator {accelerator!r} is not there: this torch sees {cards} CUDA GPU{'s'[: cards > 1]}, expected "
        f"{' or '.join(f'cuda:{number}' for number in range(cards))}; use --accelerator cuda for all of them."
    )


def cards_of(device: Device) -> tuple[int, ...]:
    """Return the numbers of the cards that workers training on ``device`` share: all, or that of its number."""
    device = torch.device(device)
    if not is_card(device):
        return ()
    return tuple(range(backend().count())) if device.index is None else (device.index,)


def without_number(device: torch.device) -> torch.device:
    """Return what a worker that sees no card but its own calls the ``device`` of its driver."""
    return torch.device(device.type) if is_card(device) else device


def only_card(number: int) -> dict[str, str]:
    """Return the environment of a process that sees one of the cards of this process and no other."""
    seen = [entry.strip() for entry in os.environ.get(VISIBLE, "").split(",") if entry.strip()]
    return {VISIBLE: seen[number] if number < len(seen) else str(number)}


def device_name(device: Device) -> str:
    """Return the name of the hardware that trains."""
    return backend().name(device) if is_card(device) else str(torch.device(device))
