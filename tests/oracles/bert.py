"""Write the reference files of tests/backbones/test_hf.py: tiny random BERTs with their hidden states.

Run it in an environment of its own, because it needs torch and transformers, which the tests do not have:

    pip install torch==2.13.0 transformers safetensors
    python tests/oracles/bert.py tests/backbones/hf ../shared/weights/hf_paraphrase_minilm_l3
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
    write_states(model, folder / "hidden_states.npz", np.array([8, 3, 2, 6]), all_states=True)


def write_states(model: transformers.BertModel, file: Path, lengths: np.ndarray, *, all_states: bool) -> None:
    """Write the hidden states of random pieces in texts of some lengths."""
    longest = int(lengths.max())
    pieces = np.random.default_rng(0).integers(1, model.config.vocab_size, (len(lengths), longest))
    pieces *= np.arange(longest) < lengths[:, None]
    with torch.no_grad():
        mask = torch.tensor(pieces != 0).long()
        states = model(torch.tensor(pieces), attention_mask=mask, output_hidden_states=True).hidden_states
    kept = states if all_states else states[-1:]
    np.savez(file, pieces=pieces.astype(np.int32), states=np.stack([state.numpy() for state in kept]))


if __name__ == "__main__":
    for number, activation in enumerate(("gelu", "relu", "gelu_new")):
        write(Path(sys.argv[1]) / f"bert_{activation}", activation, number)
    minilm = transformers.BertModel.from_pretrained(sys.argv[2], dtype=torch.float32, add_pooling_layer=False).eval()
    write_states(minilm, Path(sys.argv[1]) / "minilm_states.npz", np.array([12, 7]), all_states=False)
