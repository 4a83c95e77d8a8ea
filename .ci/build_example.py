"""Write the worked example of CONTRIBUTING.md into a copy of the checkout: build_example.py CHECKOUT."""

import re
import sys
from pathlib import Path

root = Path(sys.argv[1])
text = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
files = re.findall(r"`((?:cpp|python)/[^`]+)`:\n\n```(?:cpp|python)\n(.*?)```", text, re.S)
assert len(files) == 2, "CONTRIBUTING.md should show two files"
for path, code in files:
    (root / path).write_text(code, encoding="utf-8")
exports = root / "python/scorematch/__init__.py"
line = re.search(r'the line `("GammaProduct".*?)`', text)
assert line is not None
exports.write_text(exports.read_text(encoding="utf-8").replace("_EXPORTS = {\n", f"_EXPORTS = {{\n    {line[1]}\n", 1))

# Its session, as a doctest.
session = re.search(r"```pycon\n(.*?)```", text, re.S)
assert session is not None
(root / "example.txt").write_text(f">>> import numpy as np\n>>> import scorematch\n{session[1]}", encoding="utf-8")
