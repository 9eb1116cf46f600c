"""Models that stay loaded from one pair to the next."""

from __future__ import annotations

from rsccli.run.captioners import Crew, LoadedModels, load_models


class KeptModels:
    """Models that are loaded once, when the first pair needs them; see `rsccli.run.caption.Models`."""

    def __init__(self) -> None:
        self._loaded: LoadedModels | None = None

    def __call__(self, crew: Crew, batch_size: int) -> LoadedModels:
        """The models of a crew: every pair has the same."""
        if self._loaded is None:
            self._loaded = load_models(crew, batch_size)
        return self._loaded

    def close(self) -> None:
        """Close them."""
        if self._loaded is not None:
            self._loaded.close()
            self._loaded = None
