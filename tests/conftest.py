"""What the tests of several rooms share."""

import os
from pathlib import Path

import hypothesis
import pytest

# A busy machine is no failure: what a test takes is bounded by pytest's timeout alone.
hypothesis.settings.register_profile("tfcap", deadline=None)
hypothesis.settings.load_profile("tfcap")

# Before TensorFlow is imported anywhere: its C++ log would drown the test report.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("TFCAP_SHARED", REPOSITORY.parent / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The directory of real pictures, captions and weights, which is never part of the project."""
    if not SHARED.is_dir():
        pytest.skip(f"no directory {SHARED} with real data: set TFCAP_SHARED")
    return SHARED
