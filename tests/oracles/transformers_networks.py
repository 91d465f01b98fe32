"""Write the reference folders of tests/backbones/test_hf_*.py: tiny random networks with their hidden states.

Run it in an environment of its own, because it needs torch and transformers, which the tests do not have:

    pip install torch==2.13.0 transformers safetensors
    python tests/oracles/transformers_networks.py tests/backbones/hf [NAME ...]

With names, the other folders stay as they are.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import transformers
from bert import PIECES
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

CORPUS = [
    "the film was good",
    "the film was bad",
    "a goodly film",
    "it's a bad, bad film; 1999 was good",
    "été à Paris",
]


def trained(special: list[str], size: int = 300) -> dict:
    """Return a byte-level vocabulary with its merges, as tokenizer.json has them; special pieces come first."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    letters = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, initial_alphabet=letters, show_progress=False, min_frequency=2
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return json.loads(tokenizer.to_str())["model"]


def shake(model: torch.nn.Module) -> torch.nn.Module:
    """Return a network whose normalisations and biases are no longer ones and zeros."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name.lower() or "ln_" in name or name.endswith("bias"):
                weight.add_(0.3 * torch.randn_like(weight))
    return model.eval()


def write_text_states(model: torch.nn.Module, file: Path, padding: int, lengths: tuple[int, ...]) -> None:
    """Write the hidden states of random pieces in texts of some lengths; none of the pieces is a special one."""
    longest, pieces = max(lengths), model.config.vocab_size
    numbers = np.random.default_rng(0).integers(5, pieces - 5, (len(lengths), longest))
    numbers = np.where(np.arange(longest) < np.array(lengths)[:, None], numbers, padding)
    with torch.no_grad():
        mask = torch.tensor(numbers != padding).long()
        states = model(torch.tensor(numbers), attention_mask=mask, output_hidden_states=True).hidden_states
    np.savez_compressed(file, pieces=numbers.astype(np.int32), states=np.stack([state.numpy() for state in states]))


def distilbert(folder: Path, activation: str) -> None:
    """Write a DistilBERT with the pieces of a BERT."""
    sizes = {"dim": 16, "n_layers": 2, "n_heads": 4, "hidden_dim": 24, "max_position_embeddings": 12}
    config = transformers.DistilBertConfig(
        vocab_size=len(PIECES), activation=activation, initializer_range=0.5, **sizes
    )
    model = shake(transformers.DistilBertModel(config))
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    write_text_states(model, folder / "hidden_states.npz", 0, (8, 3, 2, 6))


def roberta(folder: Path, activation: str) -> None:
    """Write a RoBERTa whose row of the token type is not zero, with the files of transformers 5."""
    rules = trained(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24}
    config = transformers.RobertaConfig(
        vocab_size=len(rules["vocab"]),
        max_position_embeddings=14,
        type_vocab_size=1,
        hidden_act=activation,
        initializer_range=0.5,
        layer_norm_eps=1e-5,
        **sizes,
    )
    model = shake(transformers.RobertaModel(config))
    model.save_pretrained(folder)
    merges = [tuple(pair) for pair in rules["merges"]]
    transformers.RobertaTokenizer(vocab=rules["vocab"], merges=merges).save_pretrained(folder)
    write_text_states(model, folder / "hidden_states.npz", 1, (9, 3, 2, 12))


def gpt2(folder: Path, activation: str) -> None:
    """Write a GPT-2 with the files of transformers 4, vocab.json and merges.txt, or with those of transformers 5."""
    rules = trained([])
    rules["vocab"]["<|endoftext|>"] = len(rules["vocab"])
    number = rules["vocab"]["<|endoftext|>"]
    sizes = {"n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 12}
    config = transformers.GPT2Config(
        vocab_size=len(rules["vocab"]),
        activation_function=activation,
        initializer_range=0.3,
        bos_token_id=number,
        eos_token_id=number,
        **sizes,
    )
    model = shake(transformers.GPT2Model(config))
    model.save_pretrained(folder)
    if activation == "relu":  # the files of transformers 5
        merges = [tuple(pair) for pair in rules["merges"]]
        transformers.GPT2Tokenizer(vocab=rules["vocab"], merges=merges).save_pretrained(folder)
    lines = ["#version: 0.2", *(" ".join(pair) for pair in rules["merges"])]
    if activation != "relu":
        (folder / "vocab.json").write_text(json.dumps(rules["vocab"], ensure_ascii=False), encoding="utf-8")
        (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_text_states(model, folder / "hidden_states.npz", number, (8, 3, 1, 12))


def vit(folder: Path, activation: str) -> None:
    """Write a ViT for images of 16 pixels a side, with hidden states for two images."""
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24}
    config = transformers.ViTConfig(image_size=16, patch_size=4, hidden_act=activation, initializer_range=0.5, **sizes)
    model = shake(transformers.ViTModel(config, add_pooling_layer=False))
    with torch.no_grad():
        model.embeddings.cls_token.add_(torch.randn_like(model.embeddings.cls_token))
    model.save_pretrained(folder)
    mean, std = (0.5, 0.4, 0.3), (0.25, 0.5, 0.2)
    # The class that writes this file needs torchvision.
    said = {"do_resize": True, "do_rescale": True, "do_normalize": True, "rescale_factor": 1 / 255, "resample": 2}
    said |= {"image_processor_type": "ViTImageProcessor", "size": {"height": 16, "width": 16}}
    said |= {"image_mean": mean, "image_std": std}
    (folder / "preprocessor_config.json").write_text(json.dumps(said, indent=2), encoding="utf-8")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    with torch.no_grad():
        values = torch.tensor((pixels / 255 - np.array(mean)) / np.array(std)).permute(0, 3, 1, 2).float()
        answer = model(values, output_hidden_states=True)
    states = np.stack([state.numpy() for state in answer.hidden_states])
    np.savez_compressed(
        folder / "hidden_states.npz", pixels=pixels, states=states, last=answer.last_hidden_state.numpy()
    )


NETWORKS: dict[str, tuple[Callable[[Path, str], None], str]] = {
    "distilbert_gelu": (distilbert, "gelu"),
    "distilbert_relu": (distilbert, "relu"),
    "roberta_gelu": (roberta, "gelu"),
    "gpt2_gelu_new": (gpt2, "gelu_new"),
    "gpt2_relu": (gpt2, "relu"),
    "vit_gelu": (vit, "gelu"),
}

if __name__ == "__main__":
    for number, name in enumerate(sys.argv[2:] or NETWORKS):
        torch.manual_seed(number)
        write, activation = NETWORKS[name]
        write(Path(sys.argv[1]) / name, activation)
