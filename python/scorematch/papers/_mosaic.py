"""Many small images in one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Doubles = NDArray[np.float64]


def draw_mosaic(ax: Axes, images: Doubles, columns: int) -> None:
    """Square images, one a row of `images`, in a grid: grey is 0, and each has its own scale."""
    side = int(np.sqrt(images.shape[1]))
    rows = -(-len(images) // columns)
    canvas = np.full((rows * (side + 1) + 1, columns * (side + 1) + 1), np.nan)
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        top, left = row * (side + 1) + 1, column * (side + 1) + 1
        canvas[top : top + side, left : left + side] = (image / np.abs(image).max()).reshape(side, side)
    ax.imshow(canvas, cmap="gray", vmin=-1, vmax=1, interpolation="nearest")
    ax.set_axis_off()
