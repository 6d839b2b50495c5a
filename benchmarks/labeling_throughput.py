"""Speed of labelling functions and label models beside their peers, outputs asserted identical.

Run it alone: ``python -m benchmarks.labeling_throughput``; ``--only stage`` for one part. It needs
no network; the texts come from ``../shared/data`` or the folder in ``WEAKLIGHT_DATA``. Its last
line is one flat JSON object.
"""

from __future__ import annotations

import argparse
import json

from benchmarks import labeling_throughput_label_models as label_models
from benchmarks import labeling_throughput_lfs as lfs
from benchmarks.machine import describe

LABEL_MODELS = "label_models"


def main() -> None:
    """Measure every part, or those that are asked for, and print all keys."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=[*lfs.KEYS, LABEL_MODELS])
    wanted = parser.parse_args().only or [*lfs.KEYS, LABEL_MODELS]
    results = lfs.measure([part for part in wanted if part in lfs.KEYS])
    if LABEL_MODELS in wanted:
        results |= label_models.measure()
    print(json.dumps(results | describe()))


if __name__ == "__main__":
    main()
