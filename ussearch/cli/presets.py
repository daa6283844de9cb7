"""``ussearch presets``: the published networks and what they cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def presets(
    name: Annotated[str | None, typer.Argument(help="One preset; all where left out.")] = None,
    profile: Annotated[str | None, typer.Option(help="Device whose latency to predict.")] = None,
    profiles_dir: Annotated[Path | None, typer.Option(help="Folder with profiles of your own.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List published networks: parameters, MACs, source and, with --profile, the latency on a device.

    Example: ussearch presets lv-unet --profile jetson-nano
    """
    from ussearch.cli.console import print_json, print_presets
    from ussearch.evaluators.preset_sheet import preset_sheet
    from ussearch.hardware_profiles import load_profile
    from ussearch.search_spaces import load_preset, preset_names

    folders = () if profiles_dir is None else (profiles_dir,)
    device = load_profile(profile, folders) if profile else None
    chosen = [load_preset(name)] if name else [load_preset(each) for each in preset_names()]
    sheets = [preset_sheet(preset, device) for preset in chosen]
    if json_output:
        print_json(sheets[0] if name else sheets)
    else:
        print_presets(sheets, detailed=name is not None)
