"""The cloud's side: one bundle's cloud network behind the Open Inference Protocol v2.

``model.py`` turns a request's bytes into an answer's, ``admission.py`` decides whether and when, ``app.py`` is the
web application; ``embedded.py`` and ``ray_engine.py`` run that same application. FastAPI comes with the extra
``serve`` and is imported by those files only.
"""

from __future__ import annotations

from ussearch.serving.server.admission import Admission, Expired, Overloaded
from ussearch.serving.server.engines import run_server
from ussearch.serving.server.model import CloudModel
from ussearch.serving.server.settings import ServerSettings

__all__ = ["Admission", "CloudModel", "Expired", "Overloaded", "ServerSettings", "run_server"]
