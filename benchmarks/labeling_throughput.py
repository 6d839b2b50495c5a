"""Speed of labelling functions and label models beside their peers, outputs asserted identical.

Run it alone: ``python -m benchmarks.labeling_throughput``. It needs no network; the texts come from
``../shared/data`` or the folder in ``WEAKLIGHT_DATA``. Its last line is one flat JSON object.
"""

from __future__ import annotations

import importlib
import importlib.util
import json

from benchmarks.machine import describe

# Each part is a module with ``measure() -> dict`` of keys; one that is not there is left out.
PARTS = ("benchmarks.labeling_throughput_lfs", "benchmarks.labeling_throughput_label_models")


def main() -> None:
    """Measure every part and print all keys."""
    results: dict[str, object] = {}
    for part in PARTS:
        if importlib.util.find_spec(part) is not None:
            results |= importlib.import_module(part).measure()
    print(json.dumps(results | describe()))


if __name__ == "__main__":
    main()
