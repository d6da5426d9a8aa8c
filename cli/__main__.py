"""`python -m cli` is `interlock`."""

from __future__ import annotations

from cli.main import main

main()
