"""What all displays but that of a fit have in common: where they draw."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch.plotting._drawing import prepare, put_axes_title, put_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure


Doubles = NDArray[np.float64]


class Display(ABC):
    """Base of the displays, which hold what they draw and can draw it more than once."""

    title: str
    caption: str
    figure_: Figure | SubFigure
    axes_: NDArray[Any]
    _in_given_axes: bool

    # Whether the picture fits in given axes.
    _single: ClassVar[bool] = True

    @property
    def ax_(self) -> Axes:
        """The axes; the first of them where there are several."""
        return cast("Axes", self.axes_.flat[0])

    def plot(self, ax: Axes | None = None, *, figure: Figure | SubFigure | None = None) -> Self:
        """Draw, once more or elsewhere.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw, if the picture is a single one.
        figure : matplotlib Figure or SubFigure, optional
            Where to draw; a new figure of pyplot's where both are None.

        Returns
        -------
        Display
            This display.

        Raises
        ------
        ValueError
            Where both are given, or `ax` for a picture that has several.
        """
        if ax is not None:
            if figure is not None:
                raise ValueError("pass figure or ax, not both")
            if not self._single:
                raise ValueError("ax holds a single picture, and this display has several; pass figure in its place")
            self.figure_ = cast("Figure", ax.get_figure())
            self.axes_ = np.array([ax], dtype=object)
            self._in_given_axes = True
            self._draw([ax])
            put_axes_title(ax, self.title, self.caption)
            return self
        if figure is None:
            from matplotlib import pyplot

            figure = pyplot.figure()
        self.figure_, self._in_given_axes = figure, False
        prepare(figure, *self._size())
        self.axes_ = self._subplots(figure)
        self._draw(list(self.axes_.flat))
        put_title(figure, self.title, self.caption)
        return self

    def _size(self) -> tuple[float, float]:
        """Width and height of a figure of its own, in inches."""
        return 6.4, 4.6

    def _subplots(self, figure: Figure | SubFigure) -> NDArray[Any]:
        """The axes in a figure of its own."""
        return np.array([figure.subplots()], dtype=object)

    @abstractmethod
    def _draw(self, axes: list[Axes]) -> None:
        """Draw in axes: those of `_subplots`, or a single one."""


def as_doubles(name: str, values: ArrayLike, ndim: int) -> Doubles:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimension{'s' * (ndim > 1)}; got shape {array.shape}")
    return array
