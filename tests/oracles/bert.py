"""Write the reference files of tests/backbones/test_hf.py: tiny random BERTs with their hidden states.

Run it in an environment of its own, because it needs torch and transformers, which the tests do not have:

    pip install torch==2.13.0 transformers safetensors
    python tests/oracles/bert.py tests/backbones/hf
"""

import sys
from pathlib import Path

import numpy as np
import torch
import transformers

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "film", "was", "good", "bad", "##ly", "##s", ".", "a"]


def write(folder: Path, activation: str, seed: int) -> None:
    """Write a folder, and what transformers computes for some texts in hidden_states.npz."""
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        vocab_size=len(PIECES),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=24,
        max_position_embeddings=12,
        hidden_act=activation,
        initializer_range=0.5,
    )
    model = transformers.BertModel(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "LayerNorm" in name or name.endswith("bias"):
                weight.add_(0.3 * torch.randn_like(weight))
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    rng, lengths = np.random.default_rng(seed), np.array([8, 3, 2, 6])
    pieces = rng.integers(1, len(PIECES), (4, 8)) * (np.arange(8) < lengths[:, None])
    with torch.no_grad():
        states = model(
            torch.tensor(pieces), attention_mask=torch.tensor(pieces != 0).long(), output_hidden_states=True
        ).hidden_states
    np.savez(folder / "hidden_states.npz", pieces=pieces.astype(np.int32), states=np.stack([s.numpy() for s in states]))


if __name__ == "__main__":
    for number, activation in enumerate(("gelu", "relu", "gelu_new")):
        write(Path(sys.argv[1]) / f"bert_{activation}", activation, number)
