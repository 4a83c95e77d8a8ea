"""The command line's parts; the entry point is in ``scorematch.__main__``."""
