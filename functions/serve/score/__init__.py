"""Scoring a file: a file under score/ in, its predictions out, as the prediction door answers its rows."""
