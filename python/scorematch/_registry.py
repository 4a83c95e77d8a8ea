"""The families, found among the public names: nothing lists them a second time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import scorematch

if TYPE_CHECKING:
    from scorematch._base import ScoreMatchingEstimator


def families() -> list[type[ScoreMatchingEstimator]]:
    """All public estimators, by name, but those that choose an option of another."""
    from scorematch._base import ScoreMatchingEstimator

    public = (getattr(scorematch, name) for name in sorted(scorematch._EXPORTS))
    found = [value for value in public if isinstance(value, type) and issubclass(value, ScoreMatchingEstimator)]
    return [value for value in found if value._is_family]
