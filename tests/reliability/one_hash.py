"""Fit and predict with random options by 1, 2, 3, 4 and 8 threads: all must have the same bits.

    PYTHONPATH=tests python tests/reliability/one_hash.py [--count 300] [--first 0]

All that `fit` leaves is compared, and the answers of every method: of the model that so many threads have fitted, and
of the model of one thread, asked with so many.
"""

import argparse
import collections
import hashlib
import warnings

from random_estimators import bits, draw, learnt

THREADS = (2, 3, 4, 8)


def main():
    """Print what differed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    different, refused, used = [], 0, collections.Counter()
    for number in range(options.first, options.first + options.count):
        drawn, model = draw(number)
        refused += drawn.attempt
        used.update([type(drawn.options["cell"]).__name__, drawn.options["dtype"], drawn.shape])
        trained, answers = learnt(model), bits(drawn.answers(model))
        for n_jobs in THREADS:
            again = drawn.fit(n_jobs)
            same = learnt(again) == trained and bits(drawn.answers(again)) == answers
            if not same or bits(drawn.answers(model.set_params(n_jobs=n_jobs))) != answers:
                different.append((n_jobs, str(drawn)))
        if number % 50 == 49:
            print(f"{number + 1}: {hashlib.sha256(trained).hexdigest()[:16]}", flush=True)
    print(f"drawn: {dict(sorted(used.items()))}; {refused} sets of options that exclude each other were drawn again")
    print(f"{options.count} sets of options, 1, {', '.join(map(str, THREADS))} threads: {len(different)} differences")
    for one in different[:20]:
        print(*one)
    raise SystemExit(bool(different))


if __name__ == "__main__":
    main()
