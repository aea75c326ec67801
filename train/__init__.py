"""Workshop: loaders, losses, networks, alignment, fine-tuning, calibration of probabilities."""
