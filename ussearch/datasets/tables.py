"""Text and tables that people write: any usual encoding, delimiter and spelling of a column's name."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from ussearch.errors import UserError

_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_DELIMITERS = ",;\t|"
_SPELLINGS = {
    "image": "image images img imagepath imagefile imagefilename imagename filename file filepath path scan frame name"
    " id imageid bild bilder bilddatei bildname datei dateiname dateipfad fichier nomfichier nomdufichier",
    "mask": "mask masks maskpath maskfile maskfilename maskname segmentation segmentationpath seg groundtruth gt"
    " maske masken maskendatei segmentierung masque masques",
    "patient": "patient patientid patients pid subject subjectid case caseid participant patientnumber patientno"
    " patientnr patientname casenumber casenr subjectnumber subjectno mrn patienten patientennummer patientennr"
    " patientenid patnr patid patno patnummer fall fallnummer fallnr fallid proband probandid probandennummer"
    " npatient numéropatient numeropatient nopatient idpatient sujet cas group",
    "class": "class classname category label diagnosis pathology klasse diagnose kategorie classe diagnostic",
    "split": "split part set subset partition phase",
    "fold": "fold folds",
    "spacing": "spacing spacingmm pixelspacing pixelspacingmm pixelsize pixelsizemm mmperpixel",
}


def text_of(file: Path, what: str) -> str:
    """Return a text file in UTF-8, or in UTF-16 where it begins with the mark of it.

    Raises UserError, in whose sentence ``what`` names the kind of the file, where it cannot be read so.
    """
    try:
        content = file.read_bytes()
        return content.decode("utf-16" if content.startswith(_MARKS) else "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{what} {file} cannot be read as text: save it in UTF-8.") from error


def rows_of(file: Path, what: str) -> list[tuple[int, list[str]]]:
    """Return the rows of a table that are not blank with the numbers of their lines.

    The delimiter is the one of comma, semicolon, tab and bar that is most frequent in the first of them. Raises
    UserError, in whose sentence ``what`` names the kind of the file, where it cannot be read.
    """
    text = text_of(file, what)
    first = next((line for line in text.splitlines() if line.strip()), "")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(first), skipinitialspace=True)
    rows: list[tuple[int, list[str]]] = []
    line = 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((line, row))
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{what} {file} cannot be read at line {line} ({error}): save it as CSV anew.") from error
    return rows


def cells_in(line: str) -> list[str]:
    """Return the cells of one line, as ``rows_of`` divides the first of a table."""
    return next(csv.reader([line], delimiter=_delimiter(line), skipinitialspace=True), [])


def _delimiter(first: str) -> str:
    return max(_DELIMITERS, key=first.count)


def cell_of(row: Sequence[str], place: int) -> str:
    """Return a cell without the blanks around it; empty where the row is shorter."""
    return row[place].strip() if place < len(row) else ""


def spelling(name: str) -> str:
    """Return a column's name as it is compared: small letters and digits alone."""
    return re.sub(r"[\W_]+", "", name.casefold())


def column(head: Sequence[str], meaning: str) -> int | None:
    """Return the place of the column that means ``meaning`` (such as image), by its usual spellings; None without."""
    names = [spelling(name) for name in head]
    return next((names.index(each) for each in _SPELLINGS[meaning].split() if each in names), None)
