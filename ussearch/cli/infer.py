"""``ussearch infer``: masks and overlays from a bundle, with or without a server for its cloud network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def infer(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE...", help="PNG, JPEG, TIFF, BMP, GIF, PGM or DICOM files, folders of them, or patterns."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the masks and overlays; masks else, but not among the images.")
    ] = None,
    cloud: Annotated[str | None, typer.Option(metavar="URL", help="Server with the cloud network; here else.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with its token; USSEARCH_TOKEN else.")] = None,
    ca: Annotated[Path | None, typer.Option(help="Authority (PEM) of its certificate; the system's else.")] = None,
    deadline_ms: Annotated[float, typer.Option(help="What an image waits for the server at most.")] = 500.0,
    send_burned_in: Annotated[
        bool, typer.Option("--send-burned-in", help="Send DICOM frames that may show text, such as a name.")
    ] = False,
    dicom_seg: Annotated[
        bool, typer.Option("--dicom-seg", help="Also write DICOM Segmentations of DICOM files (extra seg).")
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Segment images with a bundle: edge first, then the router's decision.

    Sub-folders are kept below --out. Annotations beside the images (NAME_mask.png) are left out, and no file is written
    over that ussearch did not write itself.

    Example: ussearch infer bundle image.png cine.dcm --out masks --cloud http://127.0.0.1:8080
    """
    from collections import Counter

    from rich.table import Table

    from ussearch.cli.console import console, counted, print_json, say, whole
    from ussearch.datasets.image_files import find_images
    from ussearch.pairs import Bundle
    from ussearch.pairs.inference import default_out, segment_files
    from ussearch.serving.auth import read_token
    from ussearch.serving.client import CloudOptions

    options = None
    if cloud is not None:
        options = CloudOptions(cloud, read_token(token_file), ca, deadline_ms, send_burned_in)
    opened = Bundle.load(bundle)
    files = find_images(images)
    out = out or default_out(files)
    results = segment_files(opened, files, out, options, dicom_seg=dicom_seg)
    left_out = ((files.masks, "mask", " beside images"), (files.own, "file", " that ussearch wrote"))
    if told := [counted(len(paths), noun) + which for paths, noun, which in left_out if paths]:
        typer.echo(f"Left out: {', '.join(told)}.", err=json_output)
    if json_output:
        print_json(results)
        return
    measured = any(result["lesion_area_mm2"] is not None for result in results)
    sizes = ("lesion", "mm²") if measured else ("lesion",)
    heads = whole("image", "frame", "answered by", "because", "confidence", *sizes, "mask")
    table = Table(*heads, title=counted(len(results), "frame"))
    for result in results:
        confidence, share = f"{result['confidence']:.3f}", f"{100 * result['lesion_share']:.1f} %"
        name, mask, area = Path(result["image"]).name, Path(result["mask"]).name, result["lesion_area_mm2"]
        areas = (("–" if area is None else f"{area:.1f}"),) if measured else ()
        table.add_row(name, str(result["frame"]), result["route"], result["reason"], confidence, share, *areas, mask)
    console.print(table)
    for (route, reason), count in Counter((each["route"], each["reason"]) for each in results).most_common():
        console.print(f"{counted(count, 'frame')} by the {route}: {reason}.")
    if clipped := [result["clipped"] for result in results if result["clipped"]]:
        scale = opened.manifest.preprocessing.grey_scale
        between = "" if scale is None else f" beyond {scale.low:g}..{scale.high:g}"
        console.print(f"{sum(clipped):,} values{between} were clipped in {counted(len(clipped), 'frame')}.")
    if cloud is not None and opened.router.off:
        say("This bundle keeps every image on the device: the server was not asked (see: ussearch route).")
    console.print(f"Masks and overlays: {out}", soft_wrap=True)
