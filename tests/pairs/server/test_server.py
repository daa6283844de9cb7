"""The server against messages put together by hand, against onnxruntime, and against the package's own client."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from tests.pairs.server.conftest import TOKEN, Running, served
from ussearch.datasets import read_image
from ussearch.errors import UserError
from ussearch.pairs import Bundle
from ussearch.serving.auth import read_token
from ussearch.serving.client import Reason, open_client
from ussearch.serving.protocol import Encoded
from ussearch.serving.server import CloudModel, ServerSettings

SIDE = 32
LENGTH = "Inference-Header-Content-Length"


def pixels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (1, 1, SIDE, SIDE), dtype=np.uint8)


def expected_logits(bundle: Bundle, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(bundle.folder / "cloud" / "model.onnx"))
    return np.asarray(session.run(["logits"], {session.get_inputs()[0].name: image.astype(np.float32)})[0])


def binary_request(image: np.ndarray, **header: Any) -> tuple[bytes, dict[str, str]]:
    entry = {"name": "image", "datatype": "UINT8", "shape": list(image.shape)}
    entry["parameters"] = {"binary_data_size": image.size}
    text = json.dumps({"inputs": [entry], **header}).encode()
    return text + image.tobytes(), {LENGTH: str(len(text))}


def test_bytes_in_bytes_out(running: Running, finished: Bundle) -> None:
    body, headers = binary_request(pixels(0), id="abc", parameters={"binary_data_output": True})
    answer = running.call("POST", running.infer_path, body, headers)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/octet-stream")
    length = int(answer.headers[LENGTH.lower()])
    header, rest = json.loads(answer.body[:length]), answer.body[length:]
    assert (header["id"], header["model_name"]) == ("abc", running.model.name)
    assert [output["shape"] for output in header["outputs"]] == [[1, 1, 32, 4], [1, 1, 32, 32]]
    expected = expected_logits(finished, pixels(0))
    logits = np.array(struct.unpack(f"<{SIDE * SIDE}f", rest[128:])).reshape(expected.shape)
    assert np.allclose(logits, expected, atol=1e-4)
    bits = np.unpackbits(np.frombuffer(rest[:128], np.uint8)).reshape(SIDE, SIDE)
    assert (bits == (expected[0, 0] >= 0)).all()
    assert 0 < bits.sum() < bits.size


def test_lists_in_lists_out(running: Running, finished: Bundle) -> None:
    entry = {"name": "image", "datatype": "UINT8", "shape": [1, 1, SIDE, SIDE], "data": pixels(1).tolist()}
    body = json.dumps({"inputs": [entry], "outputs": [{"name": "logits"}]}).encode()
    answer = running.call("POST", running.infer_path.replace("/infer", "/versions/1/infer"), body)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    (output,) = answer.json()["outputs"]
    assert np.allclose(np.reshape(output["data"], output["shape"]), expected_logits(finished, pixels(1)), atol=1e-4)


def test_what_the_server_tells_of_itself(running: Running) -> None:
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/NAME/ready", "/v2/models/NAME/versions/1/ready"):
        assert running.call("GET", path.replace("NAME", running.model.name)).status == 200
    assert "binary_tensor_data" in running.call("GET", "/v2").json()["extensions"]
    metadata = running.call("GET", f"/v2/models/{running.model.name}").json()
    assert metadata["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": [1, 1, SIDE, SIDE]}]
    assert re.fullmatch(r"ussearch-[0-9a-f]{12}", metadata["name"])


def test_metrics_count_and_name_no_path_of_a_stranger(running: Running) -> None:
    def count() -> float:
        text = running.call("GET", "/metrics").body.decode()
        assert "secret-path" not in text
        found = re.search(r'ussearch_requests_total\{route="infer",status="200"\} (\S+)', text)
        return float(found.group(1)) if found else 0.0

    before = count()
    running.call("GET", "/secret-path")
    running.call("POST", running.infer_path, *binary_request(pixels(2)))
    assert count() == before + 1


def test_the_client_gets_the_cloud_network_s_mask(running: Running, finished: Bundle, data_folder: Path) -> None:
    sources = set()
    with open_client(finished, running.url, deadline_ms=5000) as client:
        for number in range(16):
            grey = read_image(data_folder / "images" / f"{number:02d}.png")
            answer = client.predict(grey)
            edge = finished.predictor().alone().predict(grey)
            assert answer.confidence == pytest.approx(edge.confidence)
            assert (answer.source, answer.mask.shape) == (edge.route, grey.shape)
            sources.add(answer.source)
            if answer.source == "cloud":
                whole = finished.predictor().predict(grey).mask
                assert (whole != answer.mask).mean() < 0.02, "bits are enlarged, not probabilities: the rim may differ"
    assert sources == {"edge", "cloud"}


@pytest.fixture
def away(finished: Bundle, data_folder: Path) -> np.ndarray:
    """An image that the router sends to the cloud."""
    pair = finished.predictor()
    images = (read_image(path) for path in sorted((data_folder / "images").iterdir()))
    return next(grey for grey in images if pair.alone().predict(grey).route == "cloud")


def test_another_bundle_s_server_is_not_believed(running: Running, finished: Bundle, away: np.ndarray) -> None:
    with open_client(finished, running.url, deadline_ms=2000, model="ussearch-000000000000") as client:
        assert client.predict(away).reason is Reason.REFUSED


def test_the_token_opens_everything_but_health(model: CloudModel, finished: Bundle, away: np.ndarray) -> None:
    with served(model, ServerSettings(port=0, token=TOKEN)) as guarded:
        assert guarded.call("GET", "/v2/health/live").status == 200
        for headers in ({}, {"Authorization": TOKEN}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": "é"}):
            for method, path in (("GET", "/v2"), ("GET", "/metrics"), ("POST", guarded.infer_path), ("GET", "/x")):
                answer = guarded.call(method, path, b"{}" if method == "POST" else None, headers)
                assert answer.status == 401
                assert answer.headers["www-authenticate"] == "Bearer"
        assert guarded.call("GET", "/v2", None, {"Authorization": f"Bearer {TOKEN}"}).status == 200
        for token, reason in ((TOKEN, Reason.ANSWERED), ("wrong", Reason.REFUSED), (None, Reason.REFUSED)):
            with open_client(finished, guarded.url, token=token, deadline_ms=3000) as client:
                assert client.predict(away).reason is reason


@dataclass(frozen=True)
class SlowModel(CloudModel):
    seconds: float = 0.25

    def infer(self, body: bytes, header_length: str | None) -> Encoded:
        time.sleep(self.seconds)
        return super().infer(body, header_length)


def slow(model: CloudModel, seconds: float = 0.25) -> SlowModel:
    return SlowModel(model.name, model.side, model.network, seconds=seconds)


def at_once(running: Running, requests: list[dict[str, str]]) -> list[int]:
    """Send requests one shortly after the other, without waiting; return their statuses in that order."""
    found = [0] * len(requests)

    def send(place: int, headers: dict[str, str]) -> None:
        body, own = binary_request(pixels(place))
        found[place] = running.call("POST", running.infer_path, body, {**own, **headers}).status

    threads = [threading.Thread(target=send, args=each) for each in enumerate(requests)]
    for thread in threads:
        thread.start()
        time.sleep(0.03)
    for thread in threads:
        thread.join()
    return found


def test_what_nobody_waits_for_is_dropped_and_what_has_no_place_sent_away(model: CloudModel) -> None:
    with served(slow(model), ServerSettings(port=0, workers=1, waiting=2)) as running:
        late, patient = {"X-Deadline-Ms": "50"}, {"X-Deadline-Ms": "9000"}
        assert at_once(running, [patient, late, patient, patient]) == [200, 504, 200, 503]
        text = running.call("GET", "/metrics").body.decode()
        assert 'ussearch_dropped_total{reason="expired"} 1.0' in text
        assert 'ussearch_dropped_total{reason="overloaded"} 1.0' in text
        assert "ussearch_inferences_inside 0.0" in text


def test_requests_under_way_are_finished_when_the_server_ends(model: CloudModel) -> None:
    found: list[int] = []
    with served(slow(model, 0.4), ServerSettings(port=0, workers=1)) as running:
        thread = threading.Thread(target=lambda: found.extend(at_once(running, [{}])))
        thread.start()
        time.sleep(0.15)
    thread.join()
    assert found == [200]


def test_a_defect_shows_nothing_of_itself(model: CloudModel) -> None:
    broken = replace(model, network=None)  # type: ignore[arg-type]  # that is what breaks it
    with served(broken, ServerSettings(port=0)) as running:
        answer = running.call("POST", running.infer_path, *binary_request(pixels(0)))
    assert (answer.status, answer.json()) == (500, {"error": "the server failed"})


def test_nothing_is_served_to_others_without_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org"):
        with pytest.raises(UserError, match="no token is set"):
            ServerSettings(host=host)
    for host in ("127.0.0.1", "::1", "localhost", "127.8.8.8"):
        assert ServerSettings(host=host).token is None
    assert ServerSettings(host="0.0.0.0", token=TOKEN).url == "http://0.0.0.0:8080"
    with pytest.raises(UserError, match="belong together"):
        ServerSettings(certificate=tmp_path)
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert read_token(tmp_path / "token") == TOKEN
    monkeypatch.setenv("USSEARCH_TOKEN", "short")
    with pytest.raises(UserError, match="USSEARCH_TOKEN holds no token"):
        read_token(None)
    monkeypatch.delenv("USSEARCH_TOKEN")
    assert read_token(None) is None
    with pytest.raises(UserError, match="cannot be read"):
        read_token(tmp_path / "absent")


def test_the_board_s_runner_is_served_too(
    running: Running, finished: Bundle, data_folder: Path, tmp_path: Path
) -> None:
    images = [str(path) for path in sorted((data_folder / "images").iterdir())[:16]]
    command = [sys.executable, str(finished.folder / "run_edge.py"), *images, "--out", str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    asked = [*command, "--cloud", running.url, "--deadline-ms", "5000"]
    done = subprocess.run(asked, capture_output=True, text=True, check=True, env=environment)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert {(each["route"], each["source"], each["reason"]) for each in results} == {
        ("edge", "edge", "confident"),
        ("cloud", "cloud", "cloud answered"),
    }
    with open_client(finished, running.url, deadline_ms=5000) as client:
        for each in results:
            answer = client.predict(read_image(each["image"]))
            assert np.array_equal(read_image(each["mask"]) > 0, answer.mask > 0)
    wrong = subprocess.run([*command, "--cloud", "cloud"], capture_output=True, text=True, check=False, env=environment)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    Bundle.load(finished.folder)
