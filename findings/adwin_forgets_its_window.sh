#!/usr/bin/env bash
# One value after an alarm, river's ADWIN knows nothing: its window has one value, and its count of detections is 0.
#
# Expected: ADWIN drops the old part of its window when it finds a change and keeps the part since; that is what its name,
#     adaptive windowing, stands for. `width` after an alarm says how many rows are of the new time, for instance to fit a
#     model to them, and `n_detections` is documented as the total number of detected changes.
# Happens: at the alarm itself both are so. With the next `update` the detector is made anew: width 1, estimation equal to
#     that one value, n_detections 0. A loop that looks at them after its updates never sees more than one detection.
# Versions: river 0.26.1, numpy 2.4.6, Python 3.11.  Seen: 2026-11-30.
# Hurt: everybody who takes the rows to refit from `width`, or reports `n_detections` at the end of a run.
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

from river.drift import ADWIN

rng, detector, alarms = random.Random(0), ADWIN(), 0
after = None
for row in range(3000):
    value = rng.gauss(0.2 if row < 1000 else 0.6 if row < 2000 else 0.2, 0.1)
    if detector.drift_detected:
        before = detector.width, detector.n_detections
        detector.update(value)
        after = detector.width, detector.n_detections
        print(f"row {row - 1}: alarm, width and n_detections {before}; one value later {after}")
    else:
        detector.update(value)
    alarms += detector.drift_detected
print(f"{alarms} alarms in 3,000 rows; n_detections at the end: {detector.n_detections}")
sys.exit(not (alarms >= 2 and detector.n_detections == 0 and after == (1, 0) and before[0] > 1))
PYTHON
