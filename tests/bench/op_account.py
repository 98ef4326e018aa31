"""Where the time of a caption goes, operation by operation.

    python tests/bench/op_account.py --model BASE --images DIR [--batch N] [--json FILE]

Runs the greedy signature of an export in a session that notes when each operation began and ended,
and adds up: by part of the graph and by kind of operation. Noting takes time of its own, and small
operations look dearer than they are: the call is also timed without it. Operations that run beside
each other both count, and what TensorFlow does between two operations is in none of the sums. The
small datasets that decode pictures are one operation here.
"""

import argparse
import collections
import json
import os
import re
import statistics
import time
from pathlib import Path

# Before TensorFlow is imported: its C++ log would drown the table.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf

from tfcap.bench.measure import jpegs, readable
from tfcap.export import find_export

v1 = tf.compat.v1
WARM_UP, TRACED, TIMED = 20, 10, 50
# As of what `timeline_label` says: "name = Kind(inputs)", with or without what comes before.
_LABEL = re.compile(r"(\S+) = (\w+)\(")


def part_of(name: str, kind: str) -> str:
    """Return the part of the graph that an operation belongs to."""
    if kind == "DatasetToSingleElement":
        return "pictures decoded"
    if "while/" in name or "while_" in name:
        return "word by word"
    return "encoder and the rest"


def account(stats: v1.RunMetadata) -> collections.Counter:
    """Return the microseconds of each (part, kind) of one call."""
    spent: collections.Counter = collections.Counter()
    for device in stats.step_stats.dev_stats:
        for node in device.node_stats:
            found = _LABEL.search(node.timeline_label)
            name, kind = found.groups() if found else (node.node_name, "?")
            spent[part_of(name, kind), kind] += node.op_end_rel_micros - node.op_start_rel_micros
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=readable(find_export), required=True, metavar="BASE")
    parser.add_argument("--images", type=readable(jpegs), required=True, metavar="DIR")
    parser.add_argument("--batch", type=int, default=1, help="pictures a call (default: 1)")
    parser.add_argument("--kinds", type=int, default=25, help="that are shown, the dearest")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    paths = jpegs(arguments.images)[: arguments.batch]
    pictures = [path.read_bytes() for path in paths]
    with v1.Session(graph=tf.Graph()) as session:
        loaded = v1.saved_model.load(session, ["serve"], str(find_export(arguments.model)))
        signature = loaded.signature_def["serving_default"]
        feed = {signature.inputs["image_bytes"].name: pictures}
        fetches = {name: tensor.name for name, tensor in signature.outputs.items()}

        def call(**options):
            start = time.perf_counter()
            found = session.run(fetches, feed, **options)
            return 1e6 * (time.perf_counter() - start), found

        for _ in range(WARM_UP):
            _, found = call()
        plain = [call()[0] for _ in range(TIMED)]
        traced, spent = [], []
        trace = v1.RunOptions(trace_level=v1.RunOptions.FULL_TRACE)
        for _ in range(TRACED):
            metadata = v1.RunMetadata()
            traced.append(call(options=trace, run_metadata=metadata)[0])
            spent.append(account(metadata))
    table = {key: statistics.median(each[key] for each in spent) for key in set().union(*spent)}
    parts = collections.Counter()
    for (part, _), microseconds in table.items():
        parts[part] += microseconds
    print(f"a call: {statistics.median(plain):.0f} us; traced {statistics.median(traced):.0f} us")
    print(f"captions: {b'; '.join(found['caption'][:3]).decode()}")
    for part, microseconds in parts.most_common():
        print(f"{part:24} {microseconds:8.0f} us")
    for (part, kind), microseconds in sorted(table.items(), key=lambda item: -item[1])[
        : arguments.kinds
    ]:
        print(f"  {part:24} {kind:28} {microseconds:8.0f} us")
    if arguments.json:
        content = {
            "microseconds": {"call": plain, "traced": traced, "parts": dict(parts)},
            "kinds": [[*key, value] for key, value in sorted(table.items(), key=lambda x: -x[1])],
        }
        arguments.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
