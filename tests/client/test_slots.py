"""Places in flight: never more than there are, and first come, first served."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from swanlab_export.client.slots import Slots


def _waiting(slots: Slots, count: int) -> None:
    """Wait until so many threads stand in line."""
    while len(slots._waiting) < count:
        time.sleep(0.001)


def test_who_waits_longest_is_next() -> None:
    """Who gives a place back and wants it again goes to the end of the line."""
    slots = Slots(1)
    order: list[str] = []

    def work(name: str) -> None:
        with slots:
            order.append(name)

    threads = []
    with slots:
        for place, name in enumerate(("first", "second"), 1):
            threads.append(threading.Thread(target=work, args=(name,)))
            threads[-1].start()
            _waiting(slots, place)
    work("again")
    for thread in threads:
        thread.join()
    assert order == ["first", "second", "again"]


def test_never_more_than_there_are() -> None:
    """Twenty threads and three places: at most three at once, and all get through."""
    slots, inside, most, done = Slots(3), 0, 0, 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal inside, most, done
        for _ in range(20):
            with slots:
                with lock:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0.0001)
                with lock:
                    inside -= 1
                    done += 1

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, done) == (3, 400)


@pytest.mark.parametrize("arrived", [False, True], ids=["waiting", "called"])
def test_who_leaves_the_line_takes_no_place(*, arrived: bool) -> None:
    """An interrupt while waiting loses no place, even where the turn came in the same moment."""
    slots = Slots(1)
    turn = threading.Event()
    with slots:
        slots._waiting.append(turn)
        if not arrived:
            slots._leave(turn)
    if arrived:
        assert turn.is_set()
        slots._leave(turn)
    with slots:
        assert slots._free == 0
    assert slots._free == 1


def test_an_interrupt_ends_the_wait() -> None:
    """Ctrl-C gets through to who waits for a place, and the place is not lost."""
    slots = Slots(1)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with slots:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with pytest.raises(KeyboardInterrupt), slots:
                pass
    finally:
        signal.signal(signal.SIGALRM, before)
    assert (slots._free, len(slots._waiting)) == (1, 0)
