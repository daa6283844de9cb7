"""``python -m ussearch``."""

from ussearch.cli import main

if __name__ == "__main__":
    main()
