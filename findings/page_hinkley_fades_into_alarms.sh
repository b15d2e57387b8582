#!/usr/bin/env bash
# River's PageHinkley alarms on a stream without any change, again and again: its forgetting factor does it.
#
# Expected: the test sums by how much values exceed their mean, less `delta`, and an alarm is a sum `threshold` above its
#     minimum. For noise of standard deviation 1, delta=0.5 and threshold=50 the chance of one at a given row is of the
#     order of exp(-2 * 0.5 * 50), some 1e-22. Forgetting (alpha=0.9999, the default) should make a false alarm rarer still.
# Happens: three alarms in 100,000 rows of a constant normal distribution, and 14 with alpha=0.999; none with alpha=1. The
#     faded sum cannot fall for ever: it stays near -delta / (1 - alpha), and swings around it with a standard deviation of
#     1 / sqrt(2 * (1 - alpha)), which is 71. Its minimum, which does not fade, is the lowest of these swings; any later
#     swing is 50 above it. The larger `delta` only lets the sum reach its floor later.
# Versions: river 0.26.1, numpy 2.4.6, Python 3.11.  Seen: 2026-11-30.
# Hurt: everybody who retrains at its alarms on streams of more than some 10,000 rows; alpha=1.0 avoids it.
#
# Exit status 0: still so. 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install river==0.26.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import random
import sys

from river.drift import PageHinkley

found = {}
for alpha in (0.999, 0.9999, 1.0):
    rng, detector, rows = random.Random(1), PageHinkley(mode="up", delta=0.5, threshold=50.0, alpha=alpha), []
    for row in range(100_000):
        detector.update(rng.gauss(1.0, 1.0))
        if detector.drift_detected:
            rows.append(row)
    found[alpha] = len(rows)
    print(f"alpha={alpha}: {len(rows)} alarms in 100,000 rows of N(1, 1), at {rows[:4]} ...")
sys.exit(not (found[0.999] > found[0.9999] > 0 == found[1.0]))
PYTHON
