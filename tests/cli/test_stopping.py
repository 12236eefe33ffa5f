import signal
import threading

import pytest

from BrainTumorSegLib.cli.stopping import stop_requests

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
