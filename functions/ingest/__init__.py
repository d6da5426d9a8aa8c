"""Ingest: an upload in, an admitted dataset or a quarantine out."""
