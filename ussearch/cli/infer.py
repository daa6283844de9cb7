"""``ussearch infer``: masks and overlays from a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def infer(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="PNG, JPEG, TIFF, BMP or DICOM files.")],
    out: Annotated[Path, typer.Option(help="Folder of the masks and overlays.")] = Path("masks"),
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Segment images with a bundle on this machine: edge first, then the router's decision.

    Example: ussearch infer bundle image.png cine.dcm --out masks
    """
    from rich.table import Table

    from ussearch.cli.console import console
    from ussearch.cli.output import print_json
    from ussearch.cli.tables import counted, whole
    from ussearch.pairs import Bundle
    from ussearch.pairs import infer as segment

    results = segment(Bundle.load(bundle), images, out)
    if json_output:
        print_json([result.to_dict() for result in results])
        return
    heads = whole("image", "frame", "answered by", "confidence", "lesion", "mask")
    table = Table(*heads, title=counted(len(results), "frame"))
    for result in results:
        confidence, share = f"{result.confidence:.3f}", f"{100 * result.lesion_share:.1f} %"
        table.add_row(
            Path(result.image).name, str(result.frame), result.route, confidence, share, Path(result.mask).name
        )
    console.print(table)
    console.print(f"Masks and overlays: {out}", soft_wrap=True)
