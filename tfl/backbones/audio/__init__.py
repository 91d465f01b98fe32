"""Networks on sound: from the samples of a clip to features, with the spectrogram inside the network."""
