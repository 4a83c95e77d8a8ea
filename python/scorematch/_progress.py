"""Progress bars, where tqdm is installed."""

from typing import Any


def progress_bar(title: str, total: int, unit: str) -> Any:
    """A progress bar of tqdm, None where it is not installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(desc=title, total=total, unit=unit)
