"""An edge network, a cloud network and the decision between them: selection, export, router, bundle,
inference.
"""

from ussearch.evaluators.prediction import export_network
from ussearch.pairs.bundles.bundle import Bundle
from ussearch.pairs.bundles.evaluation import evaluate_pair
from ussearch.pairs.bundles.manifest import Manifest
from ussearch.pairs.bundles.parity import Parity, parity
from ussearch.pairs.bundles.verify import Verification, VerificationCheck, verify_bundle
from ussearch.pairs.bundles.writing import Member, PairData, write_bundle
from ussearch.pairs.delivery.selection import Pair, PairCandidate, select_pair
from ussearch.pairs.inference import infer
from ussearch.pairs.routing.thresholds import threshold_for_share
from ussearch.runtime.decision import Router, soft_dice_confidence
from ussearch.runtime.onnx_network import OnnxNetwork

__all__ = [
    "Bundle",
    "Manifest",
    "Member",
    "OnnxNetwork",
    "Pair",
    "PairCandidate",
    "PairData",
    "Parity",
    "Router",
    "Verification",
    "VerificationCheck",
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
