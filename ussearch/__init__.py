"""Architecture search for ultrasound segmentation on edge devices."""

__version__ = "0.1.0"
