"""Choose a pretrained network: scores of transferability, from features and labels alone."""

from tfl.selection.scores import h_score, leep, log_evidence, n_leep

__all__ = ["h_score", "leep", "log_evidence", "n_leep"]
