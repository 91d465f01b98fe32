"""Networks with a byte-level tokenizer, RoBERTa and GPT-2, compute what transformers computes.

tests/oracles/transformers_networks.py wrote the references.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from backbones.hf_states import TOLERANCE, largest_difference, weights_without_effect
from texts import FOLDER
from tokenizers import Tokenizer

import tfl
from tfl.backbones import find_stages, get_backbone_spec
from tfl.checks import check_config
from tfl.errors import InputError
from tfl.inputs.text.encoding import divide, encode
from tfl.inputs.text.rules import read_rules

NETWORKS = ["roberta_gelu", "gpt2_gelu_new", "gpt2_relu"]


@pytest.mark.parametrize("name", NETWORKS)
def test_hidden_states(name):
    assert largest_difference(FOLDER / name) < TOLERANCE


@pytest.mark.parametrize(("name", "longest"), [("roberta_gelu", 12), ("gpt2_relu", 12)])
def test_the_longest_text(name, longest):
    """RoBERTa has 14 positions, and the first two are not those of pieces."""
    assert get_backbone_spec(f"hf:{FOLDER / name}").largest_size == longest


@pytest.mark.parametrize("name", ["roberta_gelu", "gpt2_gelu_new"])
def test_every_weight_has_an_effect(name):
    """So a weight at a wrong place cannot agree. The bias of a key is the same for all positions."""
    model = tfl.build_backbone(f"hf:{FOLDER / name}", image_size=12)
    pieces = np.load(FOLDER / name / "hidden_states.npz")["pieces"]
    assert weights_without_effect(model, np.pad(pieces, [[0, 0], [0, 12 - pieces.shape[1]]])) == [
        f"block{number}_attention/key/bias" for number in (1, 2)
    ]


def test_a_piece_gets_nothing_from_those_after_it():
    model = tfl.build_backbone(f"hf:{FOLDER / 'gpt2_relu'}", image_size=4)
    states = keras.Model(model.input, model.get_layer("last_norm_end").output)
    found = [np.asarray(states(np.array([[5, 6, piece, 8]], np.int32))) for piece in (7, 9)]
    np.testing.assert_array_equal(found[0][:, :2], found[1][:, :2])
    assert np.abs(found[0][:, 2:] - found[1][:, 2:]).max(axis=(0, 2)).min() > 1e-3


def test_a_text_without_a_piece():
    """GPT-2 puts no piece at the ends of a text."""
    name = f"hf:{FOLDER / 'gpt2_relu'}"
    pieces = encode(tf.constant(""), read_rules(get_backbone_spec(name).tokenizer), 4)
    assert not np.asarray(tfl.build_backbone(name, image_size=4)(pieces[None])).any()


@pytest.mark.parametrize("name", ["roberta_gelu", "gpt2_relu"])
@pytest.mark.parametrize("text", ["", "the film's été, 1999  good"])
def test_pieces_are_those_of_the_folder(name, text):
    reference = Tokenizer.from_file(str(FOLDER / name / "tokenizer.json")).encode(text).ids
    rules = read_rules(get_backbone_spec(f"hf:{FOLDER / name}").tokenizer)
    found = divide(tf.constant(text), rules).numpy().tolist()
    assert [*rules.begin, *found, *rules.end] == reference


def test_two_files_say_what_tokenizer_json_says():
    found = [read_rules(get_backbone_spec(f"hf:{FOLDER / name}").tokenizer) for name in ("gpt2_gelu_new", "gpt2_relu")]
    assert found[0] == found[1]


@pytest.mark.parametrize("name", ["roberta_gelu", "gpt2_relu"])
def test_a_block_is_a_stage(name):
    stages = find_stages(tfl.build_backbone(f"hf:{FOLDER / name}", image_size=8))
    assert [stage.cut.name for stage in stages] == ["block1_end", "mean_of_states"]


@pytest.mark.parametrize("name", ["roberta_gelu", "gpt2_gelu_new"])
def test_keras_alone_loads_the_network(name, tmp_path):
    model = tfl.build_backbone(f"hf:{FOLDER / name}", image_size=8)
    pieces = np.random.default_rng(0).integers(5, 250, (3, 8)).astype(np.int32)
    model.save(tmp_path / "network.keras")
    np.savez(tmp_path / "expected.npz", pieces=pieces, vectors=np.asarray(model(pieces)))
    program = (
        "import keras, numpy as np, sys; expected = np.load('expected.npz');"
        "model = keras.models.load_model('network.keras');"
        "assert 'tfl' not in sys.modules;"
        "assert np.array_equal(model(expected['pieces']), expected['vectors'])"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)


def damage(name, tmp_path, file, change):
    """Return the name of a copy of a folder whose JSON file was changed."""
    folder = Path(shutil.copytree(FOLDER / name, tmp_path / name))
    values = json.loads((folder / file).read_text(encoding="utf-8"))
    change(values)
    (folder / file).write_text(json.dumps(values), encoding="utf-8")
    return f"hf:{folder}"


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("gpt2_relu", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx .* must be False"),
        ("gpt2_relu", {"rotary": 1}, "the option 'rotary', which is not known"),
        ("gpt2_relu", {"n_head": 3}, "n_embd of config.json must be a multiple of n_head"),
        ("gpt2_relu", {"n_inner": "wide"}, "n_inner of config.json must be a whole number above 0, and is 'wide'"),
        ("gpt2_relu", {"activation_function": "tanh"}, "activation_function of config.json must be one of gelu"),
        ("gpt2_relu", {"eos_token_id": None}, "eos_token_id of config.json must be the number of a piece"),
        ("gpt2_relu", {"eos_token_id": 5}, "`fill_piece` must be a piece that no text gives"),
        ("gpt2_relu", {"n_layer": 3}, "has no tensor 'h.2.attn.c_attn.weight'"),
        ("gpt2_relu", {"n_inner": 32}, r"h.0.mlp.c_fc.weight .* must have the shape \(16, 32\), and has \(16, 64\)"),
        ("roberta_gelu", {"position_embedding_type": "relative_key"}, "must be 'absolute', and is 'relative_key'"),
        ("roberta_gelu", {"max_position_embeddings": 3}, "max_position_embeddings .* must be a whole number above 3"),
        ("roberta_gelu", {"vocab_size": 20}, "the tokenizer has 279 pieces, and the network only 20"),
        ("roberta_gelu", {"pad_token_id": 7}, "`fill_piece` must be a piece that no text gives"),
        ("roberta_gelu", {"type_vocab_size": 2}, "token_type_embeddings"),
    ],
)
def test_what_the_graph_does_not_compute_is_refused(name, changes, said, tmp_path):
    folder = damage(name, tmp_path, "config.json", lambda values: values.update(changes))
    with pytest.raises(InputError, match=said) as caught:
        tfl.build_backbone(folder, image_size=8)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        (
            "roberta_gelu",
            lambda values: values["model"].update(type="Unigram"),
            "model of .* must be 'BPE'",
        ),
        ("roberta_gelu", lambda values: values["model"].update(dropout=0.1), "dropout of tokenizer.json must be None"),
        ("roberta_gelu", lambda values: values["model"].update(merges=3), "merges of tokenizer.json must be a list"),
        ("roberta_gelu", lambda values: values["model"].update(merges=[["a", "b"]]), "whose result is a piece"),
        ("roberta_gelu", lambda values: values["model"]["vocab"].pop("a"), "must have the numbers from 0 on"),
        ("roberta_gelu", lambda values: values["model"].pop("vocab"), "must have the numbers from 0 on"),
        (
            "roberta_gelu",
            lambda values: values.update(normalizer={"type": "NFC"}),
            "normalizer of .* must be None",
        ),
        ("roberta_gelu", lambda values: values.update(pre_tokenizer=None), "pre_tokenizer .* must be 'ByteLevel'"),
        ("roberta_gelu", lambda values: values.update(post_processor=None), "must add <s> and </s> to a text"),
        ("roberta_gelu", lambda values: values["added_tokens"].append({"content": "[U]"}), r"adds the piece '\[U\]'"),
        (
            "gpt2_relu",
            lambda values: values["post_processor"].update(type="RobertaProcessing"),
            "must add nothing to a text, and is 'RobertaProcessing'",
        ),
    ],
)
def test_another_tokenizer_is_refused(name, change, said, tmp_path):
    with pytest.raises(InputError, match=said):
        get_backbone_spec(damage(name, tmp_path, "tokenizer.json", change))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tokenizer_class": "BertTokenizer"}, "tokenizer_class must be one of"),
        ({"cls_token": None}, "cls_token of tokenizer_config.json must be a piece"),
        ({"sep_token": "<end>"}, "Received: none is '<end>'"),
    ],
)
def test_another_configuration_of_the_tokenizer_is_refused(changes, said, tmp_path):
    folder = damage("roberta_gelu", tmp_path, "tokenizer_config.json", lambda values: values.update(changes))
    with pytest.raises(InputError, match=said):
        get_backbone_spec(folder)


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("merges.txt", b"\xff\xfe", "merges.txt cannot be read"),
        ("merges.txt", b"a\n", "`merges` must be pairs of pieces"),
        ("merges.txt", None, "neither vocab.json with merges.txt nor tokenizer.json"),
        ("vocab.json", b"[1", "vocab.json cannot be read"),
        ("vocab.json", b'{"a": "b"}', "must have the numbers from 0 on"),
    ],
)
def test_a_damaged_file_of_the_tokenizer_is_named(file, content, said, tmp_path):
    folder = Path(shutil.copytree(FOLDER / "gpt2_gelu_new", tmp_path / "gpt2"))
    (folder / file).unlink() if content is None else (folder / file).write_bytes(content)
    with pytest.raises(InputError, match=said):
        get_backbone_spec(f"hf:{folder}")


def test_the_first_piece_of_a_causal_network_stands_for_no_text():
    config = tfl.TransferConfig(
        data=tfl.DataConfig(source="csv:texts.csv", image_size=8, augmentation="none"),
        backbone=tfl.BackboneConfig(name=f"hf:{FOLDER / 'gpt2_relu'}"),
        head=tfl.HeadConfig(pooling="cls"),
        finetune=tfl.FinetuneConfig(epochs=0),
    )
    with pytest.raises(InputError, match=r"`head\.pooling` must be one of avg, layers, auto"):
        check_config(config)
