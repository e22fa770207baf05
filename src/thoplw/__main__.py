"""``python -m thoplw``."""

from thoplw.cli import main

if __name__ == "__main__":
    main(prog_name="thoplw")
