"""Contracts on the user's machine: written from data, checked, tried on a file, compared."""
