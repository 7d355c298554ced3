from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock

import pytest

from clipnav.encoders.extraction.prefetch import prefetched


def test_results_are_in_the_order_of_the_items():
    second = Event()

    def work(number: int) -> int:
        if number == 1:
            second.set()
        if number == 0:
            assert second.wait(60)  # returns only after the next item has started
        return number * number

    with ThreadPoolExecutor(2) as pool:
        assert list(prefetched(pool, work, range(20), ahead=4)) == [n * n for n in range(20)]


def test_an_error_is_raised_instead_of_its_result():
    def work(number: int) -> int:
        return 10 // (3 - number)

    with ThreadPoolExecutor(2) as pool:
        results = prefetched(pool, work, range(10), ahead=5)
        assert [next(results) for _ in range(3)] == [3, 5, 10]
        with pytest.raises(ZeroDivisionError):
            next(results)


def test_results_are_computed_while_the_last_one_is_used():
    lock, started = Lock(), Event()
    lock.acquire()

    def work(number: int) -> int:
        if number == 1:
            started.set()
            with lock:
                pass
        return number

    with ThreadPoolExecutor(1) as pool:
        results = prefetched(pool, work, range(3), ahead=1)
        assert next(results) == 0
        assert started.wait(60)  # the second has started before it is requested
        lock.release()
        assert list(results) == [1, 2]
