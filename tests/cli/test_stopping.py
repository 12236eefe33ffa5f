import signal
import threading
import time

import pytest

from BrainTumorSegLib.cli.stopping import insisting, interrupted_by_signals, stop_requests

pytestmark = pytest.mark.usefixtures("heeded_signals")

SIGNALS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


@pytest.mark.parametrize("number", SIGNALS)
def test_first_signal_asks_to_stop_and_second_stops_at_once(number: signal.Signals) -> None:
    with stop_requests() as is_cancelled:
        assert not is_cancelled()
        signal.raise_signal(number)
        assert is_cancelled()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)


def test_earlier_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_requests():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_outside_the_main_thread_signals_are_left_alone() -> None:
    seen: list[bool] = []

    def work() -> None:
        with stop_requests() as is_cancelled:
            seen.append(is_cancelled())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]


class Dying:
    """What is asked to stop while it is taken down, as importing does with its locks."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def wait(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.01)


def test_an_interrupt_that_strikes_where_it_is_lost_is_raised_again() -> None:
    with interrupted_by_signals(), pytest.raises(KeyboardInterrupt):  # noqa: PT012 - raised at any moment of the wait
        Dying()
        wait(20)


def test_work_that_does_not_stop_is_interrupted_and_its_own_error_is_none() -> None:
    with pytest.raises(KeyboardInterrupt), stop_requests() as is_cancelled, insisting(is_cancelled):  # noqa: PT012
        signal.raise_signal(signal.SIGTERM)
        try:
            wait(20)
        except KeyboardInterrupt:
            raise ImportError("what a library made of it") from None


def test_an_error_without_a_wish_to_stop_stays_one() -> None:
    with pytest.raises(ImportError, match="own"), stop_requests() as is_cancelled, insisting(is_cancelled):
        raise ImportError("its own")
