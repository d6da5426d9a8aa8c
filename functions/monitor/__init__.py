"""Monitor: served traffic in, a verdict and perhaps a retraining out."""
