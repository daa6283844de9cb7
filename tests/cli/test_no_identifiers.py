"""Nobody learns from a bundle, its card, a report or a server who is in data whose files are named after patients."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image
from plotly.offline import get_plotlyjs

from tests.cli.test_serve import serving
from tests.datasets.test_frames import dicom
from ussearch import schema
from ussearch.datasets import PhantomParameters
from ussearch.datasets.phantoms import make_phantom
from ussearch.pairs import Bundle
from ussearch.pairs.bundles.finalize import finalize
from ussearch.pairs.bundles.model_card import CARD
from ussearch.report import write_report
from ussearch.studies import Study
from ussearch.studies.context import reopen_context

from .conftest import TINY_RUN, Command

pytestmark = pytest.mark.slow
NAMED = ("smith", "jane", "1957-03-02", "patient_0", "4711-0815", "home_of_ann")
"""What a person, a folder and a machine could be known by."""
PLOTLY = get_plotlyjs().encode()  # which knows Smith charts


def write_patients(folder: Path, patients: int = 12, images: int = 4) -> Path:
    """Write phantoms as DICOM files in folders of patients, with masks as PNG."""
    parameters = PhantomParameters(count=patients * images, seed=0, image_size=64)
    for number in range(patients * images):
        phantom, place = make_phantom(parameters, number), f"patient_{number // images:03d}/smith_jane_{number:04d}"
        image, mask = folder / "images" / f"{place}.dcm", folder / "masks" / f"{place}.png"
        for path in (image, mask):
            path.parent.mkdir(parents=True, exist_ok=True)
        dicom(image, phantom.image[None], PatientName="SMITH^JANE", PatientID=f"4711-0815-{number // images}")
        Image.fromarray(phantom.mask * np.uint8(255)).save(mask)
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the data and the study lie."""
    return tmp_path_factory.mktemp("home_of_ann")


@pytest.fixture(scope="module")
def data(home: Path) -> Path:
    return write_patients(home / "Mrs_Smith_1957-03-02")


@pytest.fixture
def searched(ussearch: Command, home: Path, data: Path) -> Path:
    """A finished study, made by the command line in the first test that asks for it."""
    study = home / "smith"
    if not study.exists():
        arguments = ("run", "--profile", "jetson-nano", "--data", data, "--study", study, "--folders", "patients")
        outcome = ussearch(*arguments, *TINY_RUN)
        assert outcome.status == 0, outcome.err
    return study


def told_by(path: Path) -> Iterator[str]:
    """Yield what is named in a file, or in any file below a folder or its name."""
    for file in [path] if path.is_file() else sorted(path.rglob("*")):
        content = file.read_bytes().replace(PLOTLY, b"") if file.is_file() else b""
        content = (file.name.encode() + content).lower()
        yield from (f"{name} in {file}" for name in (*NAMED, str(Path.home())) if name.encode() in content)


def test_the_data_do_name_people(data: Path, searched: Path) -> None:
    assert {each.split(" in ")[0] for each in told_by(data)} >= {"smith", "jane", "patient_0", "4711-0815"}
    assert {each.split(" in ")[0] for each in told_by(searched / "split.json")} == {"smith", "jane", "patient_0"}


def test_a_bundle_names_nobody_and_still_verifies(ussearch: Command, data: Path, searched: Path) -> None:
    bundle = Bundle.load(searched / "bundle")
    assert list(told_by(bundle.folder)) == []
    assert "--data DATA" in (bundle.folder / CARD).read_text(encoding="utf-8")
    assert bundle.split().parts() == Study.open(searched).split.parts()
    outcome = ussearch("verify", bundle.folder, "--data", data)
    assert outcome.status == 0, outcome.out + outcome.err


def test_another_router_and_another_export_name_nobody_either(ussearch: Command, searched: Path, home: Path) -> None:
    out = home / "of_jane"
    budget = ("--budget", "1s")  # what does not fit is named with a command
    outcome = ussearch("export", searched, "--out", out, *budget)
    assert outcome.status == 0, outcome.err
    assert "ussearch compress STUDY" in (out / "edge" / "compression.json").read_text(encoding="utf-8")
    assert list(told_by(out)) == []
    assert ussearch("route", searched, "--bundle", out, "--no-learn").status == 0
    assert list(told_by(out)) == []


def test_another_router_takes_out_what_an_older_version_named(
    ussearch: Command, searched: Path, data: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(searched / "bundle", tmp_path / "old"))
    manifest, study = Bundle.load(folder).manifest, Study.open(searched)
    record = study.split.to_record(reopen_context(study, "cpu").images)
    (folder / "split.json").write_text(schema.SPLIT.to_json(record), encoding="utf-8")
    assert manifest.provenance is not None
    commands = (f"ussearch run --data {data.name} --profile jetson-nano", f"ussearch export smith --out {data}")
    named = {
        "data": manifest.data.model_copy(update={"name": data.name}),
        "provenance": manifest.provenance.model_copy(update={"commands": commands}),
    }
    finalize(folder, manifest.model_copy(update=named))
    assert {each.split(" in ")[0] for each in told_by(folder)} >= {"smith", "jane", "1957-03-02", "patient_0"}
    assert ussearch("verify", folder, "--data", data).status == 0
    assert ussearch("route", searched, "--bundle", folder, "--no-learn").status == 0
    assert list(told_by(folder)) == []
    assert ussearch("verify", folder, "--data", data).status == 0


def test_a_report_numbers_images_and_names_them_when_asked(ussearch: Command, searched: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    outcome = ussearch("report", searched, "--out", page)
    assert outcome.status == 0, outcome.err
    assert list(told_by(page)) == []
    assert any(f"image {index}<" in page.read_text(encoding="utf-8") for index in Study.open(searched).split.test)
    assert ussearch("report", searched, "--out", page, "--names").status == 0
    assert {each.split(" in ")[0] for each in told_by(page)} >= {*NAMED} - {"4711-0815"}
    write_report(searched, page, names=True)
    assert "smith_jane" in page.read_text(encoding="utf-8")


def test_a_table_of_routes_numbers_images(ussearch: Command, searched: Path, tmp_path: Path) -> None:
    table, test = tmp_path / "table.csv", Study.open(searched).split.test
    assert ussearch("route-report", searched, "--csv", table).status == 0
    assert [line.split(",")[0] for line in table.read_text().splitlines()[1:]] == [str(index) for index in test]
    assert list(told_by(table)) == []
    assert ussearch("route-report", searched, "--csv", table, "--names").status == 0
    assert "smith_jane" in table.read_text()


def test_a_server_hears_and_tells_of_nobody(ussearch: Command, data: Path, searched: Path, tmp_path: Path) -> None:
    images = sorted((data / "images" / "patient_003").iterdir())
    with serving(searched / "bundle") as (url, process):
        answered = ussearch("infer", searched / "bundle", *images, "--out", tmp_path / "out", "--cloud", url)
        with suppress(HTTPError):  # a path that is none is not repeated
            urlopen(f"{url}/v2/models/smith_jane/versions/1957-03-02").close()
        process.send_signal(signal.SIGINT)
        said = "".join(process.communicate(timeout=20))
    assert answered.status == 0 and "smith_jane" in answered.out  # the terminal may
    assert not [name for name in NAMED if name in said.lower()]
