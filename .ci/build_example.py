"""Write the worked examples of CONTRIBUTING.md into a copy of the checkout: build_example.py CHECKOUT."""

import re
import sys
from pathlib import Path

root = Path(sys.argv[1])
text = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
files = re.findall(r"`((?:cpp|python)/[^`]+)`:\n\n```(?:cpp|python)\n(.*?)```", text, re.S)
assert len(files) == 4, "CONTRIBUTING.md should show two files for each of two families"
for path, code in files:
    (root / path).write_text(code, encoding="utf-8")
exports = root / "python/scorematch/__init__.py"
lines = re.findall(r'the line `("\w+": "_\w+",)`', text)
assert len(lines) == 2, "CONTRIBUTING.md should give the line of each family"
beginning = "_EXPORTS = {\n"
listed = beginning + "".join(f"    {line}\n" for line in lines)
exports.write_text(exports.read_text(encoding="utf-8").replace(beginning, listed, 1))

# Their sessions, as a doctest.
sessions = re.findall(r"```pycon\n(.*?)```", text, re.S)
session = "".join([">>> import numpy as np\n>>> import scorematch\n", *sessions])
(root / "example.txt").write_text(session, encoding="utf-8")
