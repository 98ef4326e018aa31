"""What the Flex Template's launcher runs: build_records with the template's parameters.

The launcher writes each parameter as --name=value, where build_records has flags without a value
and hyphens in its options.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from beam_jobs.build_records import main

_METADATA = Path(__file__).with_name("metadata.json")
# Beam's own option among the template's parameters.
_FOR_BEAM = "sdk_container_image"


def command_line(given: Iterable[str]) -> Iterator[str]:
    """Return the options of build_records for what the launcher was given.

    Args:
        given: the template's parameters, and options that the launcher adds for Beam.
    """
    parameters = json.loads(_METADATA.read_text("utf-8"))["parameters"]
    types = {parameter["name"]: parameter["paramType"] for parameter in parameters}
    for option in given:
        name, _, value = option.removeprefix("--").partition("=")
        flag = f"--{name.replace('_', '-')}"
        if name not in types or name == _FOR_BEAM:
            yield option
        elif types[name] != "BOOLEAN":
            yield f"{flag}={value}"
        elif value == "true":
            yield flag


if __name__ == "__main__":
    sys.exit(main(list(command_line(sys.argv[1:]))))
