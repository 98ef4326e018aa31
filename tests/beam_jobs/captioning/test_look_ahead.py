"""Pictures that are read ahead of the model."""

import time

from beam_jobs.captioning.handler import look_ahead


def test_threads_ahead_keep_the_order_and_the_bound():
    started, taken = [], []

    def slow_first(number):
        started.append(number)
        assert number - len(taken) <= 5
        time.sleep(0.02 if number % 3 == 0 else 0)
        return number

    for number in look_ahead(slow_first, range(20), threads=4, ahead=4):
        taken.append(number)
    assert taken == list(range(20)) and sorted(started) == taken
