"""An edge network, a cloud network and the decision between them: selection, export, router, bundle,
inference.
"""

from ussearch.evaluators.onnx_network import OnnxNetwork
from ussearch.evaluators.shipping import export_network
from ussearch.pairs.bundle import Bundle, Member, PairData, write_bundle
from ussearch.pairs.evaluation import evaluate_pair
from ussearch.pairs.inference import Inference, infer
from ussearch.pairs.manifest import Manifest
from ussearch.pairs.parity import Parity, parity
from ussearch.pairs.routing.confidence import soft_dice_confidence
from ussearch.pairs.routing.decision import Router, threshold_for_share
from ussearch.pairs.selection import Candidate, Pair, select_pair
from ussearch.pairs.verify import Check, Verification, verify_bundle

__all__ = [
    "Bundle",
    "Candidate",
    "Check",
    "Inference",
    "Manifest",
    "Member",
    "OnnxNetwork",
    "Pair",
    "PairData",
    "Parity",
    "Router",
    "Verification",
    "evaluate_pair",
    "export_network",
    "infer",
    "parity",
    "select_pair",
    "soft_dice_confidence",
    "threshold_for_share",
    "verify_bundle",
    "write_bundle",
]
