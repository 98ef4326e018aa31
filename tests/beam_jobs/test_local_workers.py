"""What travels between the launcher and its workers arrives whole, however slowly it is written."""

import argparse
import time

import apache_beam as beam
import pytest

from beam_jobs.runners import make_pipeline


class Slow(str):
    """A text that takes longer to encode than Beam by default waits before it sends."""


class SlowCoder(beam.coders.Coder):
    """Writes such a text."""

    def encode(self, value):
        time.sleep(1.2)
        return value.encode()

    def decode(self, encoded):
        return Slow(encoded.decode())

    def is_deterministic(self):
        return True


@pytest.fixture
def slow():
    beam.coders.registry.register_coder(Slow, SlowCoder)
    yield
    del beam.coders.registry._coders[Slow]


@pytest.mark.timeout(120)
def test_an_element_is_sent_whole_however_long_it_takes_to_encode(slow, tmp_path):
    said = tmp_path / "said.txt"
    local = argparse.Namespace(workers=2, runner="apache_beam.runners.direct.DirectRunner")
    with make_pipeline(local, []) as pipeline:
        _ = (
            pipeline
            | beam.Create([0])
            | beam.FlatMap(
                lambda _: [("key", Slow("one")), ("key", Slow("two"))]
            ).with_output_types(tuple[str, Slow])
            | beam.GroupByKey()
            | beam.Map(lambda found: said.write_text(f"{found[0]} {sorted(found[1])}"))
        )
    assert said.read_text() == "key ['one', 'two']"
