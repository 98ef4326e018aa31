"""Packing: nothing is lost on the way from the source to the shards."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from beam_jobs import shuffle
from records.sources import SourceRow

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
ROWS = st.builds(
    SourceRow, st.sampled_from("abc"), TEXT | st.none(), st.just("train"), TEXT, st.integers(0, 3)
)


@given(st.lists(ROWS), st.integers(1, 200))
def test_rows_come_out_as_they_went_in(rows, together):
    expected, found = defaultdict(list), defaultdict(list)
    for row in rows:
        expected[row.key + row.split].append(row)
    whole, shuffle._CHARACTERS = shuffle._CHARACTERS, together
    try:
        for shard, block in shuffle.pack_rows(rows, str.__add__):
            found[shard] += shuffle.unpack_rows(block)
    finally:
        shuffle._CHARACTERS = whole
    assert found == expected


def test_captions_of_a_data_set_travel_in_a_quarter_of_their_size():
    rows = [
        SourceRow(f"{i // 5}.jpg", f"A dog number {i} runs over green grass .", "train", "", 0)
        for i in range(5000)
    ]
    size = sum(len(block) for _, block in shuffle.pack_rows(rows, lambda *_: "s"))
    assert size < sum(len(row.caption) for row in rows) / 4
