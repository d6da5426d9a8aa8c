"""Which models are deployed: their documents in the models layer, unread. `interlock.models` reads them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from interlock.errors import UnknownModel


@cache
def deployed_ids() -> tuple[str, ...]:
    """Ids of all deployed models, sorted."""
    folder = _folder()
    return tuple(sorted(path.stem for path in folder.glob("*.json"))) if folder else ()


def deployed_text(model_id: str) -> bytes:
    """The deployed model's document.

    Raises:
        UnknownModel: no such model is deployed.
    """
    folder = _folder()
    if folder is None or model_id not in deployed_ids():
        raise UnknownModel(f"no model '{model_id}' is deployed; deployed are: {', '.join(deployed_ids()) or 'none'}")
    return (folder / f"{model_id}.json").read_bytes()


def _folder() -> Path | None:
    try:
        import interlock_models
    except ModuleNotFoundError:
        return None
    return Path(str(interlock_models.__file__)).parent
