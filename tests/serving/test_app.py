"""The service over HTTP: right answers equal the model's, wrong requests get the status that says why."""

import base64
import concurrent.futures
import csv
import io
import threading

import numpy as np
import pytest
from jpegs import with_passes
from PIL import Image
from warm import PATIENCE

from tfl.inputs.image.decode import decode_image, resize
from tfl.runs.predict import predict_files

PREDICT, CLASSIFY, EXPLAIN = ("/v1/models/model:" + verb for verb in ("predict", "classify", "explain"))
CLASSES = ["ant", "bee", "<b>wasp</b>"]


def b64(encoded):
    return {"b64": base64.b64encode(encoded).decode()}


def probabilities(answer):
    assert answer.status_code == 200, answer.text
    return np.array([row["probabilities"] for row in answer.json()["predictions"]])


def error(answer, status):
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    return answer.json()["error"]


def metric(client, name):
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def test_predict_answers_as_tensorflow_serving_does(client, artefact, photos):
    expected = artefact.predict_bytes(photos)
    assert expected.std(axis=0).min() > 0.01  # else any answer would do
    answer = client.post(PREDICT, json={"instances": [b64(photo) for photo in photos]})
    np.testing.assert_allclose(probabilities(answer), expected, atol=1e-6)
    assert answer.json()["predictions"][0].keys() == {"probabilities", "class_names"}
    assert answer.json()["predictions"][-1]["class_names"] == CLASSES
    columns = client.post(PREDICT, json={"inputs": {"images": [b64(photo) for photo in photos]}}).json()["outputs"]
    np.testing.assert_allclose(columns["probabilities"], expected, atol=1e-6)
    assert columns["class_names"] == [CLASSES] * len(photos)


def test_pixels_give_what_files_give(client, artefact, photos):
    pixels = np.stack([resize(decode_image(photo), 32).numpy() for photo in photos[:3]])
    answer = client.post(PREDICT, json={"signature_name": "serving_pixels", "instances": pixels.tolist()})
    np.testing.assert_allclose(probabilities(answer), artefact.predict_bytes(photos[:3]), atol=1e-6)


def test_predictions_are_those_of_scripts_predict(client, model_file, photos, tmp_path):
    for number, photo in enumerate(photos):
        (tmp_path / f"{number:02}.jpg").write_bytes(photo)
    predict_files(model_file, [str(tmp_path)], str(tmp_path / "out.csv"))
    with (tmp_path / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(photos)
    for photo, row in zip(photos, rows, strict=True):
        best = client.post(CLASSIFY, content=photo).json()["classes"][0]
        assert best["class"] == row["class"]
        assert best["probability"] == pytest.approx(float(row["probability"]), abs=1e-6)


def test_classify_sorts_and_cuts(client, artefact, photos):
    expected = artefact.predict_bytes(photos[:1])[0]
    for path in (CLASSIFY, "/classify"):
        classes = client.post(path, content=photos[0], headers={"content-type": "image/jpeg"}).json()["classes"]
        assert [entry["class"] for entry in classes] == [CLASSES[k] for k in np.argsort(-expected)]
        np.testing.assert_allclose([entry["probability"] for entry in classes], sorted(expected)[::-1], atol=1e-6)
    assert len(client.post(CLASSIFY + "?top=1", content=photos[0]).json()["classes"]) == 1
    for top in ("0", "-1", "x", "²", "", "9" * 5000):
        assert "`top`" in error(client.post(CLASSIFY, params={"top": top}, content=photos[0]), 400)


def test_a_regression_answers_with_values(serve, ready, regression_file, photos):
    with serve(regression_file) as client:
        values = ready(client).post(CLASSIFY, content=photos[0]).json()["values"]
        assert [entry["name"] for entry in values] == ["weight", "height"]
        assert client.post(EXPLAIN, content=photos[0]).json()["explained"] == "weight"


def test_requests_that_arrive_together_share_batches_and_bad_images_spoil_none(client, artefact, photos):
    expected = artefact.predict_bytes(photos)
    before = metric(client, "tfl_batch_images_count")
    barrier = threading.Barrier(24)

    def ask(number):
        barrier.wait()
        if number % 4 == 3:
            return number, client.post(CLASSIFY, content=photos[number % 12][:300])
        return number, client.post(PREDICT, json={"instances": [b64(photos[number % 12])]})

    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        for number, answer in pool.map(ask, range(24)):
            if number % 4 == 3:
                error(answer, 400)
            else:
                np.testing.assert_allclose(probabilities(answer)[0], expected[number % 12], atol=1e-6)
    assert metric(client, "tfl_batch_images_count") - before < 18  # 18 good images in fewer batches
    assert metric(client, "tfl_queue_images") == 0


def test_no_batch_is_larger_than_what_was_measured_to_serve_best(serve, ready, model_file, photos, monkeypatch):
    monkeypatch.setattr("tfl.serving.model.best_batch_size", lambda *_: 2)
    with serve(model_file) as client:
        ready(client)
        answer = client.post(PREDICT, json={"instances": [b64(photo) for photo in photos]})
        assert probabilities(answer).shape == (len(photos), len(CLASSES))
        assert metric(client, "tfl_batch_size") == 2
        assert metric(client, "tfl_batch_images_count") == len(photos) / 2


def test_status_and_metadata_have_the_shape_of_tensorflow_serving(client):
    (status,) = client.get("/v1/models/model").json()["model_version_status"]
    assert status == {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    content = client.get("/v1/models/model/metadata").json()
    assert content["model_spec"] == {"name": "model", "signature_name": "", "version": "1"}
    signatures = content["metadata"]["signature_def"]["signature_def"]
    assert signatures["serving_default"]["inputs"]["images"]["dtype"] == "DT_STRING"
    dims = signatures["serving_pixels"]["inputs"]["pixels"]["tensor_shape"]["dim"]
    assert [dim["size"] for dim in dims] == ["-1", "32", "32", "3"]
    about = content["metadata"]["tfl"]
    assert about["class_names"] == CLASSES
    assert (about["target"], about["temperature"], about["can_explain"]) == ("multiclass", 1.7, True)


def test_explain_gives_a_picture_of_the_size_of_the_network(client, photos):
    answer = client.post(EXPLAIN, content=photos[0]).json()
    assert answer["explained"] == answer["classes"][0]["class"]
    png = base64.b64decode(answer["overlay"].removeprefix("data:image/png;base64,"))
    assert Image.open(io.BytesIO(png)).size == (32, 32)
    other = client.post(EXPLAIN, params={"class": "bee"}, content=photos[0]).json()
    assert other["explained"] == "bee"
    assert other["classes"] == answer["classes"]
    assert "Did you mean 'bee'?" in error(client.post(EXPLAIN, params={"class": "bees"}, content=photos[0]), 400)


def test_a_format_without_layers_predicts_but_explains_nothing(serve, ready, litert_file, artefact, photos):
    with serve(litert_file) as client:
        answer = ready(client).post(PREDICT, json={"instances": [b64(photo) for photo in photos]})
        np.testing.assert_allclose(probabilities(answer), artefact.predict_bytes(photos), atol=1e-5)
        assert "The model must be a workdir or a .keras file" in error(client.post(EXPLAIN, content=photos[0]), 404)
        assert client.get("/v1/models/model/metadata").json()["metadata"]["tfl"]["can_explain"] is False


@pytest.mark.parametrize("verb", ["predict", "classify", "explain"])
def test_another_model_another_path_another_method(client, verb):
    assert "must be 'model'" in error(client.post(f"/v1/models/modl:{verb}", content=b"x"), 404)
    error(client.get(f"/v1/models/model:{verb}"), 405)
    error(client.post(f"/v2/models/model:{verb}"), 404)
    error(client.get("/v1/models/other"), 404)
    error(client.get("/v1/models/other/metadata"), 404)


def test_broken_images_are_400_other_files_415_large_ones_413(client, photos):
    assert "broken or truncated JPEG" in error(client.post(CLASSIFY, content=photos[0][:200]), 400)
    assert "not an image of a known format" in error(client.post(CLASSIFY, content=b"%PDF-1.7 a text"), 415)
    error(client.post(CLASSIFY, content=b""), 415)
    file = io.BytesIO()
    Image.new("RGB", (1200, 900)).save(file, "PNG")
    assert "1,080,000" in error(client.post(CLASSIFY, content=file.getvalue()), 413)
    answer = client.post(PREDICT, json={"instances": [b64(photos[0]), b64(b"text")]})
    assert error(answer, 400).startswith("Image 1: ")
    assert error(client.post(PREDICT, json={"instances": [b64(file.getvalue())]}), 413).startswith("Image 0: ")


def test_bodies_of_other_kinds_and_lengths(client, photos):
    hint = error(client.post(CLASSIFY, json={"instances": [b64(photos[0])]}), 415)
    assert "must be the image file itself, or a form with it. Received: application/json." in hint
    error(client.post(CLASSIFY, content=photos[0], headers={"content-type": "multipart/mixed; boundary=x"}), 415)
    error(client.post(CLASSIFY, content=photos[0], headers={"content-encoding": "gzip"}), 415)
    for content in (b"\xff\xd8\xff" + bytes(200_000), (bytes(50_000) for _ in range(9))):  # the second without a length
        assert "at most 200,000 bytes" in error(client.post(CLASSIFY, content=content), 413)
    assert "at most 40 images" in error(client.post(PREDICT, json={"instances": [b64(b"x")] * 41}), 413)
    assert metric(client, "tfl_queue_images") == 0


def test_a_form_with_one_file_is_that_file(client, photos):
    for verb in (CLASSIFY, EXPLAIN):
        expected = client.post(verb, content=photos[0]).json()
        answer = client.post(verb, files={"whatever": ("größe.jpg", photos[0], "application/octet-stream")})
        assert (answer.status_code, answer.json()) == (200, expected)


@pytest.mark.parametrize(
    "form",
    [
        {"files": [("file", b"a"), ("file", b"b")]},
        {"files": {"file": b"a"}, "data": {"top": "3"}},
        {"files": {"file": (None, b"a")}},  # a field, no file
        {"content": b"", "headers": {"content-type": "multipart/form-data; boundary=x"}},
        {"content": b"--x\r\n\r\n", "headers": {"content-type": "multipart/form-data"}},
        {"content": b"no form", "headers": {"content-type": "multipart/form-data; boundary=x"}},
    ],
)
def test_a_form_with_anything_else_is_refused_in_one_line(client, form):
    message = error(client.post(CLASSIFY, **form), 400)
    assert message.startswith("A form must have exactly one file")
    assert "\n" not in message
    assert "Image" not in message


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/models/model:predict", {"POST"}),
        ("PUT", "/v1/models/model:explain", {"POST"}),
        ("DELETE", "/classify", {"POST"}),
        ("GET", "/classify", {"POST"}),
        ("POST", "/v1/models/model", {"GET", "HEAD"}),
        ("PUT", "/v1/models/model", {"GET", "HEAD"}),
        ("POST", "/v1/models/model/metadata", {"GET", "HEAD"}),
        ("POST", "/", {"GET", "HEAD"}),
        ("OPTIONS", "/readyz", {"GET", "HEAD"}),
    ],
)
def test_another_method_is_told_which_it_may_be(client, method, path, allowed):
    answer = client.request(method, path)
    error(answer, 405)
    assert set(answer.headers["allow"].split(", ")) == allowed


def test_an_unknown_verb_is_404_by_any_method(client):
    for method in ("GET", "POST"):
        message = error(client.request(method, "/v1/models/model:predcit"), 404)
        assert message.endswith("Received: 'predcit'. Did you mean 'predict'?")


def test_pages_of_an_allowed_origin_read_the_answers_and_others_do_not(serve, ready, model_file, photos):
    shop, other = {"origin": "https://shop.example"}, {"origin": "https://other.example"}
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    with serve(model_file, allow_origin=["https://shop.example", "http://localhost:3000"]) as client:
        ready(client)
        for answer in (
            client.post(CLASSIFY, content=photos[0], headers=shop),
            client.post(CLASSIFY, content=b"x", headers=shop),  # an error is to be read too
            client.get("/nowhere", headers=shop),
        ):
            assert answer.headers["access-control-allow-origin"] == shop["origin"]
        preflight = client.options(PREDICT, headers=shop | asked)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == shop["origin"]
        assert "POST" in preflight.headers["access-control-allow-methods"]
        assert client.options(PREDICT, headers=other | asked).status_code == 400
        answer = client.post(CLASSIFY, content=photos[0], headers=other)
        assert "access-control-allow-origin" not in answer.headers
        assert "access-control-allow-credentials" not in answer.headers


def test_every_answer_says_that_it_is_to_be_taken_for_what_it_is(client):
    for path in ("/", "/healthz", "/nowhere", "/metrics", "/v1/models/model"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert "access-control-allow-origin" not in headers
        if path != "/nowhere":
            head = client.head(path)
            assert (head.status_code, head.content) == (200, b"")


def test_metrics_count_by_route_and_code_and_take_no_label_from_a_client(client, photos):
    name = 'tfl_requests_total{code="200",method="POST",route="/classify"}'
    before = metric(client, name)
    client.post("/classify", content=photos[0])
    client.request("BREW", "/secret-path")
    assert metric(client, name) == before + 1
    text = client.get("/metrics").text
    assert "BREW" not in text and "secret-path" not in text
    assert metric(client, 'tfl_requests_total{code="404",method="other",route="other"}') >= 1
    for part in ("tfl_request_seconds_bucket", "tfl_batch_images_bucket", "tfl_decode_seconds_count", "tfl_ready 1.0"):
        assert part in text
    assert metric(client, "process_resident_memory_bytes") > 1e8


def test_two_services_in_one_process_count_each_for_itself(client, serve, ready, model_file, photos):
    with serve(model_file, name="other") as second:
        ready(second).post("/classify", content=photos[0])
        assert metric(second, "tfl_decode_seconds_count") == 1


def test_without_places_the_client_is_told_to_come_back(client, serve, ready, model_file, photos):
    with serve(model_file, queue_size=2) as busy:
        model = ready(busy).app.state.model
        with model.room.take(2):
            answer = busy.post(CLASSIFY, content=photos[0])
        assert "busy" in error(answer, 503)
        assert int(answer.headers["retry-after"]) >= 1
        assert busy.post(CLASSIFY, content=photos[0]).status_code == 200
        with model.room.take(1):
            error(busy.post(PREDICT, json={"instances": [b64(photos[0])] * 2}), 503)
        assert model.room.taken == 0


def test_what_takes_too_long_is_504_and_leaves_nothing_behind(serve, ready, model_file, photos, monkeypatch):
    with serve(model_file, timeout_seconds=0.2) as client:
        model = ready(client).app.state.model
        held = threading.Event()
        model._network.submit(held.wait)  # the network's thread is busy
        assert "within 0.2 seconds" in error(client.post(CLASSIFY, content=photos[0]), 504)
        held.set()
        assert model.room.taken == 0
        while (answer := client.post(CLASSIFY, content=photos[0])).status_code == 504:
            pass  # a busy machine may take so long too
        assert answer.status_code == 200


def test_after_twenty_small_files_with_thousands_of_scans_photos_are_answered(serve, ready, model_file, photos):
    with serve(model_file) as client:
        ready(client)
        bomb = with_passes(5000, 7000)  # each would take minutes
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            for answer in pool.map(lambda _: client.post(CLASSIFY, content=bomb), range(20)):
                assert "more than 100 passes" in error(answer, 413)
            answers = pool.map(lambda number: client.post(CLASSIFY, content=photos[number % 12]), range(100))
            assert {answer.status_code for answer in answers} == {200}


def test_large_images_take_turns_and_no_place_of_others(serve, ready, model_file, photos, monkeypatch):
    monkeypatch.setattr("tfl.inputs.image.untrusted.TAKES_TURNS", 100_000)
    with serve(model_file) as client, concurrent.futures.ThreadPoolExecutor(20) as pool:
        model, held = ready(client).app.state.model, threading.Event()
        model._turns.submit(held.wait)
        large = [pool.submit(client.post, CLASSIFY, content=with_passes(1, 400)) for _ in range(20)]
        while model.room.taken < 20:
            pass
        assert client.post(CLASSIFY, content=photos[0]).status_code == 200
        assert client.get("/readyz").status_code == 200
        assert not any(answer.done() for answer in large)
        held.set()
        assert {answer.result().status_code for answer in large} == {200}


@pytest.mark.parametrize(
    ("pool", "sentence"), [("_decoders", "Every thread that decodes"), ("_network", "The network")]
)
def test_not_ready_while_nothing_gets_on_and_the_end_does_not_wait_for_it(serve, ready, model_file, pool, sentence):
    held, begun = threading.Event(), threading.Event()
    with serve(model_file, timeout_seconds=0.01) as client:
        threads = getattr(ready(client).app.state.model, pool)
        for _ in range(threads._max_workers):
            threads.submit(held.wait)
        while (answer := client.get("/readyz")).status_code == 200:
            pass
        assert sentence in error(answer, 503)
        assert client.get("/metrics").text.count("tfl_ready 0.0") == 1
        held.set()
        ready(client)
        held.clear()
        threads.submit(lambda: (begun.set(), held.wait()))
        begun.wait(PATIENCE)  # what no thread has begun is dropped at the end
    assert client.app.state.model.is_working  # the service has ended all the same
    held.set()


def test_a_bug_is_500_without_its_traceback_and_the_next_request_is_answered(serve, ready, model_file, photos, caplog):
    shop = {"origin": "https://shop.example"}
    with serve(model_file, allow_origin=[shop["origin"]]) as client:
        model = ready(client).app.state.model
        batcher = model._parts.batcher
        right = batcher._predict
        batcher._predict = lambda images: 1 / 0
        answer = client.post(CLASSIFY, content=photos[0], headers=shop)
        assert "division" not in error(answer, 500)
        assert answer.headers["access-control-allow-origin"] == shop["origin"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert f"POST {CLASSIFY}" in caplog.text and "ZeroDivisionError" in caplog.text
        assert 'code="500"' in client.get("/metrics").text
        batcher._predict = right
        assert client.post(CLASSIFY, content=photos[0]).status_code == 200


def test_live_at_once_ready_when_loaded_and_not_while_draining(serve, ready, model_file, monkeypatch):
    from tfl.serving import model as module

    load, held = module.load_artefact, threading.Event()
    monkeypatch.setattr(module, "load_artefact", lambda path: held.wait(PATIENCE) and load(path))
    with serve(model_file) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 503
        assert client.get("/v1/models/model").json()["model_version_status"][0]["state"] == "LOADING"
        assert "being loaded" in error(client.post(CLASSIFY, content=b"x"), 503)
        held.set()
        ready(client)
        client.app.state.model.is_draining = True
        assert "about to stop" in error(client.get("/readyz"), 503)
        assert client.get("/healthz").status_code == 200
        assert client.get("/v1/models/model").json()["model_version_status"][0]["state"] == "AVAILABLE"
