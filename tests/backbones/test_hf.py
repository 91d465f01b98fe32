"""`backbone.name=hf:FOLDER` computes what transformers computes.

tests/oracles/bert.py and transformers_networks.py wrote the references.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import safetensors.numpy
from backbones.hf_states import TOLERANCE, largest_difference, weights_without_effect
from texts import FOLDER, TINY

import tfl
from tfl.backbones import find_stages, get_backbone_spec
from tfl.backbones.entries import backbone_of, label_of
from tfl.backbones.names import parse_backbone
from tfl.errors import InputError
from tfl.inputs.text.rules import read_rules


@pytest.mark.parametrize("name", ["bert_gelu", "bert_relu", "bert_gelu_new", "distilbert_gelu", "distilbert_relu"])
def test_hidden_states(name):
    assert largest_difference(FOLDER / name) < TOLERANCE


def test_hidden_states_of_minilm(shared):
    folder = shared / "weights" / "hf_paraphrase_minilm_l3"
    assert largest_difference(folder, FOLDER / "minilm_states.npz") < TOLERANCE


@pytest.mark.parametrize("name", ["bert_gelu", "distilbert_gelu"])
def test_every_weight_has_an_effect(name):
    """So a weight at a wrong place cannot agree. The bias of a key is the same for all positions."""
    model = tfl.build_backbone(f"hf:{FOLDER / name}", image_size=8)
    pieces = np.load(FOLDER / name / "hidden_states.npz")["pieces"]
    without_effect = weights_without_effect(model, pieces)
    assert without_effect == [f"block{number}_attention/key/bias" for number in (1, 2)]


def test_a_block_is_a_stage():
    stages = find_stages(tfl.build_backbone(f"hf:{TINY}", image_size=8))
    assert [stage.cut.name for stage in stages] == ["block1_end", "mean_of_states"]


def test_keras_alone_loads_the_network(tmp_path):
    model = tfl.build_backbone(f"hf:{TINY}", image_size=8)
    pieces = np.load(TINY / "hidden_states.npz")["pieces"]
    model.save(tmp_path / "bert.keras")
    np.savez(tmp_path / "expected.npz", pieces=pieces, vectors=np.asarray(model(pieces)))
    program = (
        "import keras, numpy as np, sys; expected = np.load('expected.npz');"
        "model = keras.models.load_model('bert.keras');"
        "assert 'tfl' not in sys.modules;"
        "assert np.array_equal(model(expected['pieces']), expected['vectors'])"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)


@pytest.fixture
def folder(tmp_path):
    """Return a copy of a folder, to be damaged."""
    return Path(shutil.copytree(TINY, tmp_path / "bert"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hidden_act": "relu6"}, "hidden_act of config.json must be one of gelu"),
        (
            {"model_type": "robert"},
            "model_type of config.json must be one of bert, .* Did you mean 'roberta'",
        ),
        ({"model_type": ["bert"]}, "model_type of config.json must be one of bert"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type of config.json must be 'absolute'"),
        ({"rope_theta": 1e4}, "the option 'rope_theta', which is not known"),
        ({"hidden_size": 18}, "must be a multiple of num_attention_heads"),
        ({"num_hidden_layers": 0}, "num_hidden_layers of config.json must be a whole number above 0"),
        ({"layer_norm_eps": "small"}, "layer_norm_eps of config.json must be between 0 and 1"),
        ({"pad_token_id": 3}, r"\[PAD\] of the tokenizer is 0"),
        ({"vocab_size": 4}, "the tokenizer has 14 pieces, and the network only 4"),
    ],
)
def test_what_the_graph_does_not_compute_is_refused(folder, changes, said):
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values | changes))
    with pytest.raises(InputError, match=said):
        get_backbone_spec(f"hf:{folder}")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", b"{", "config.json cannot be read"),
        ("config.json", b"[]", "config.json must hold an object"),
        ("config.json", None, "it has no config.json"),
        ("vocab.txt", None, "neither vocab.txt nor tokenizer.json"),
        ("vocab.txt", b"[PAD]\n[UNK]\n", r"without \[CLS\]"),
        ("vocab.txt", b"\xff\xfe", "vocab.txt cannot be read"),
        ("model.safetensors", None, "it has no model.safetensors"),
        ("tokenizer_config.json", b'{"tokenizer_class": "GPT2Tokenizer"}', "tokenizer_class must be one of"),
        ("tokenizer_config.json", b'{"do_lower_case": "yes"}', "must be true or false"),
    ],
)
def test_a_damaged_file_is_named(folder, name, content, said):
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=said):
        get_backbone_spec(f"hf:{folder}")


def test_damaged_weights_are_named(folder):
    file = folder / "model.safetensors"
    tensors, whole = safetensors.numpy.load_file(file), file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"model\.safetensors cannot be read"):
        tfl.build_backbone(f"hf:{folder}")
    name = "encoder.layer.1.output.dense.bias"
    safetensors.numpy.save_file({key: value for key, value in tensors.items() if key != name}, file)
    with pytest.raises(InputError, match=f"no tensor '{name}'"):
        tfl.build_backbone(f"hf:{folder}")
    safetensors.numpy.save_file(tensors | {name: np.zeros(3, np.float32)}, file)
    with pytest.raises(InputError, match=r"must have the shape \(16,\), and has \(3,\)"):
        tfl.build_backbone(f"hf:{folder}")


def test_other_spellings_of_the_same_weights(folder):
    """The model of a task has its name before each tensor; the first files had other names of the normalisations."""
    file = folder / "model.safetensors"
    tensors = safetensors.numpy.load_file(file)
    renamed = {f"bert.{name.replace('LayerNorm.weight', 'LayerNorm.gamma')}": value for name, value in tensors.items()}
    safetensors.numpy.save_file(renamed | {"classifier.weight": np.zeros((2, 16), np.float32)}, file)
    assert largest_difference(folder) < TOLERANCE


def test_a_folder_with_tokenizer_json_alone(folder):
    pieces = (folder / "vocab.txt").read_text().split()
    (folder / "vocab.txt").unlink()
    values = {
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {piece: n for n, piece in enumerate(pieces)}},
        "normalizer": {"type": "BertNormalizer", "lowercase": False, "strip_accents": None},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
    }
    (folder / "tokenizer.json").write_text(json.dumps(values))
    rules = read_rules(get_backbone_spec(f"hf:{folder}").tokenizer)
    assert (list(rules.pieces), rules.lower_case, rules.strip_accents) == (pieces, False, False)
    values["model"]["type"] = "BPE"
    (folder / "tokenizer.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"model of tokenizer\.json must be 'WordPiece', and is 'BPE'"):
        get_backbone_spec(f"hf:{folder}")


def test_a_folder_that_does_not_exist():
    with pytest.raises(InputError, match="must name a folder that exists after 'hf:'"):
        get_backbone_spec(f"hf:{TINY}s")


def test_the_name_of_a_folder_has_no_width():
    spec, alpha = parse_backbone(f" hf:{TINY}")
    assert (spec.name, alpha) == (f"hf:{TINY}", 1.0)
    assert label_of(backbone_of(f"hf:{TINY}", "imagenet")) == f"hf:{TINY}"


def test_weights_may_be_random():
    keras.utils.set_random_seed(0)
    model = tfl.build_backbone(f"hf:{TINY}", image_size=8, weights="none")
    trained = tfl.build_backbone(f"hf:{TINY}", image_size=8)
    table = model.get_layer("embed_pieces").get_weights()[0]
    assert not np.allclose(table, trained.get_layer("embed_pieces").get_weights()[0])


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("added_tokens.json", {"[USER]": 5}),
        ("tokenizer.json", {"added_tokens": [{"content": "[USER]", "id": 5}]}),
        ("tokenizer_config.json", {"added_tokens_decoder": {"5": {"content": "[USER]"}}}),
    ],
)
def test_a_piece_that_is_added_to_the_vocabulary_is_refused(file, content, tmp_path):
    """transformers never divides it; here it would be divided as other characters, without a word."""
    folder = shutil.copytree(TINY, tmp_path / "bert")
    known = json.loads((folder / file).read_text()) if (folder / file).exists() else {}
    (folder / file).write_text(json.dumps(known | content))
    with pytest.raises(InputError, match=r"adds the piece '\[USER\]'"):
        get_backbone_spec(f"hf:{folder}")
