"""Everything that is particular to CUDA: cards, precision, copies, memory, timing, and what its errors mean.

The rest of the package asks here and knows nothing of cards. What only a driver can answer is asked of a backend
(``Cuda``); tests supply their own (``supplied``), such as one whose cards are the meta device.
"""

from ussearch.accelerators.choice import (
    cards_of,
    choose_device,
    device_name,
    only_card,
    wants_card,
    without_number,
)
from ussearch.accelerators.computing import (
    autocast,
    empty_cache,
    has_fused_optimisers,
    kept_on,
    random_state,
    set_random_state,
    state_on_host,
    synchronize,
    to_channels_last,
    to_device,
    to_host,
)
from ussearch.accelerators.cuda import Cuda, Device, is_card, supplied
from ussearch.accelerators.faults import SpoiltProcess, lacks_memory, watched

__all__ = [
    "Cuda",
    "Device",
    "SpoiltProcess",
    "autocast",
    "cards_of",
    "choose_device",
    "device_name",
    "empty_cache",
    "has_fused_optimisers",
    "is_card",
    "kept_on",
    "lacks_memory",
    "only_card",
    "random_state",
    "set_random_state",
    "state_on_host",
    "supplied",
    "synchronize",
    "to_channels_last",
    "to_device",
    "to_host",
    "wants_card",
    "watched",
    "without_number",
]
