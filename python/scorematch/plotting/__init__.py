"""Pictures of fitted models, of their data, their uncertainty and their diagnostics. Needs matplotlib."""

from scorematch.plotting._fit import FitDisplay
from scorematch.plotting._graph import GraphDisplay
from scorematch.plotting._influence import InfluenceDisplay
from scorematch.plotting._intervals import IntervalsDisplay
from scorematch.plotting._objective import ObjectiveDisplay
from scorematch.plotting._panels import Hemisphere as Hemisphere
from scorematch.plotting._panels import Line as Line
from scorematch.plotting._panels import Plane as Plane
from scorematch.plotting._path import PathDisplay
from scorematch.plotting._stein import SteinDisplay
from scorematch.plotting._trace import TraceDisplay

__all__ = [
    "FitDisplay",
    "GraphDisplay",
    "InfluenceDisplay",
    "IntervalsDisplay",
    "ObjectiveDisplay",
    "PathDisplay",
    "SteinDisplay",
    "TraceDisplay",
]
