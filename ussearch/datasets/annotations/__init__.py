"""Annotations that a tool keeps as shapes, not as pictures: polygons, ellipses, run lengths, pieces of masks."""

from ussearch.datasets.annotations.drawing import Drawing
from ussearch.datasets.annotations.shapes import Ellipse, Piece, Polygon, RunLengths, Shape

__all__ = ["Drawing", "Ellipse", "Piece", "Polygon", "RunLengths", "Shape"]
