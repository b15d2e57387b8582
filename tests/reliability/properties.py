"""Draw more examples of each property in tests/test_properties.py than the suite does.

    python tests/reliability/properties.py [--examples 500]

Shapes, dtypes, memory layouts, groups, lengths, options and weights of all cells, against the NumPy reference. The
examples are the same each time.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def main():
    """Run them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", type=int, default=500, help="of each property (default: 500)")
    options = parser.parse_args()
    environment = {**os.environ, "SKLSTM_PROPERTY_EXAMPLES": str(options.examples)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "test_properties.py"]
    raise SystemExit(subprocess.run(command, cwd=TESTS, env=environment, check=False).returncode)


if __name__ == "__main__":
    main()
