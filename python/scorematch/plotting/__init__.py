"""Pictures of fitted models: data, fitted density and score function. Needs matplotlib."""

from scorematch.plotting._fit import FitDisplay
from scorematch.plotting._panels import Hemisphere as Hemisphere
from scorematch.plotting._panels import Line as Line
from scorematch.plotting._panels import Plane as Plane

__all__ = ["FitDisplay"]
