"""`interlock console`: the signing proxy, until Ctrl-C."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import typer

from cli.proxy import Proxy
from cli.target import Target
from cli.view import as_json, console
from interlock.errors import InvalidSettings

_SHORTEST = 16


def serve(target: Target, port: int, token_file: Path | None, *, browse: bool, machine: bool) -> None:
    """Start the proxy, say where it is, and serve until the command is interrupted.

    Raises:
        InvalidSettings: the port is taken, or the file holds no usable token.
    """
    proxy = Proxy(target.outputs["ApiUrl"], target.session, port, _token(token_file) if token_file else None)
    with proxy:
        if machine:
            as_json({"url": proxy.url, "origin": proxy.origin, "bearer": proxy.bearer})
        else:
            console.print(f"{target.name}\n\n  [bold]{proxy.url}[/]\n", soft_wrap=True)
            console.print("The address works once, in one browser. For clients that cannot sign:")
            console.print(f"  {proxy.origin}", soft_wrap=True)
            bearer = f"<what {token_file} holds>" if token_file else proxy.bearer
            console.print(f"  Authorization: Bearer {bearer}", soft_wrap=True, markup=False)
            console.print("Whoever has either acts with your credentials. Ctrl-C ends it.")
        if browse:
            typer.launch(proxy.url)
        try:
            proxy.serve_forever()
        except KeyboardInterrupt:
            console.print("\nEnded.")


def _token(path: Path) -> str:
    """The token that a file holds; a new one is written, for its owner's eyes, where there is none."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            made = secrets.token_urlsafe(32)
            file.write(made + "\n")
            return made
    except FileExistsError:
        found = path.read_text("utf-8").strip()
    except OSError as error:
        raise InvalidSettings(f"{path}: {error.strerror}", remedy="Name a file that can be written.") from None
    if len(found) < _SHORTEST or not found.isascii() or not found.isprintable() or " " in found:
        raise InvalidSettings(
            f"{path} holds no token of {_SHORTEST} and more characters",
            remedy="Name a file that does not exist: a token is written into it.",
        )
    return found
