"""Count the table of bad input, and try every row of it with four estimators: each must raise, with its message.

    PYTHONPATH=tests python tests/reliability/bad_input_counts.py

The rows are those of tests/bad_input.py and bad_input_of_options.py. The suite tries them with the estimators for LSTM
cells alone (tests/test_bad_input.py), which have the same text.
"""

import collections
import warnings

from test_bad_input import calls, check


def main():
    """Print the counts, and what was not refused as it should."""
    warnings.simplefilter("ignore")
    made, failures, silent = list(calls(("", "RNN "))), [], 0
    for bad, kind, call in made:
        try:
            check(bad, kind, call)
        except (Exception, BaseException) as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            silent += "DID NOT RAISE" in str(error)
            failures.append((bad.title, kind, call, f"{type(error).__name__}: {error}"[:500]))
    kinds = collections.Counter(kind for _, kind, _ in made)
    rows, methods = {bad.title for bad, _, _ in made}, {call for _, _, call in made}
    print(f"{len(rows)} cases, {len(kinds)} estimators, {len(methods)} methods: {len(made)} calls {dict(kinds)}")
    print(f"{silent} silent acceptances, {len(failures)} without the exception and message that they should have")
    for failure in failures[:20]:
        print(*failure)
    raise SystemExit(bool(failures))


if __name__ == "__main__":
    main()
