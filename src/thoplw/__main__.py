"""``python -m thoplw``."""

import sys

# Python puts the current folder first, so that files there would stand for packages of the same name. Models of the
# user's own find it at the end of the path, see thoplw.models.python.
if not getattr(sys.flags, "safe_path", False):
    sys.path.pop(0)

from thoplw.cli import main

if __name__ == "__main__":
    main(prog_name="thoplw")
