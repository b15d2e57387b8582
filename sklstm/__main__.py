"""`python -m sklstm`: predictions, training and scores of tables in files."""

import sys

from sklstm.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
