# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Calls to a service that may be slow or hang."""

from __future__ import annotations

import threading
import warnings
from collections import deque
from collections.abc import Callable
from typing import Any


class BackgroundCalls:
    """Makes calls one after the other in a thread, so that a slow or hanging service cannot hold up training.

    The first call that fails ends it: its exception is raised by the next :meth:`submit` or :meth:`finish`. Where too
    many calls wait, the oldest of those that hold numbers are dropped, which is said once.
    """

    def __init__(self, name: str, max_waiting: int = 1000) -> None:
        """Start the thread.

        Args:
            name: What the calls go to, for errors.
            max_waiting: So many calls may wait before the service counts as not keeping up.
        """
        self._name = name
        self._max_waiting = max_waiting
        # The first is being made. With each, whether it holds nothing but numbers.
        self._waiting: deque[tuple[Callable[[], Any], bool]] = deque()
        self._changed = threading.Condition()
        self._is_closing = False
        self._num_dropped = 0
        self._error: BaseException | None = None
        self._ended = threading.Event()
        # A thread that hangs must not keep the process alive.
        threading.Thread(target=self._work, name=f"{name} log writer", daemon=True).start()

    def submit(self, call: Callable[[], Any], are_numbers: bool = False) -> None:
        """Make a call soon. Does not wait.

        Args:
            call: What to do.
            are_numbers: It writes nothing but the numbers of an iteration, and may be dropped where too many wait.

        Raises:
            Exception: That of the earlier call that failed.
            TimeoutError: Too many calls are waiting that may not be dropped.
        """
        self._raise_error()
        with self._changed:
            is_full = len(self._waiting) >= self._max_waiting
            if is_full:
                self._drop_oldest_numbers()
            self._waiting.append((call, are_numbers))
            self._changed.notify()
        if is_full and self._num_dropped == 1:
            warnings.warn(
                f"{self._name} does not keep up: {self._max_waiting} calls are waiting. Its oldest numbers are "
                "dropped, training goes on.",
                stacklevel=3,
            )

    def call(self, call: Callable[[], Any], timeout: float) -> Any:
        """Make a call, wait for it and return what it returns.

        Raises:
            Exception: That of this or an earlier call that failed.
            TimeoutError: It took longer than ``timeout`` seconds.
        """
        result: list[Any] = []
        done = threading.Event()

        def noted() -> None:
            try:
                result.append(call())
            finally:
                done.set()

        self.submit(noted)
        answered = done.wait(timeout)
        if answered and not result:
            self._ended.wait(timeout)
        self._raise_error()
        if not answered:
            raise TimeoutError(f"{self._name} did not answer for {timeout:g} s.")
        return result[0]

    def finish(self, timeout: float) -> None:
        """Wait until every call was made, and end the thread. What was not made by then never is.

        Raises:
            Exception: That of a call that failed.
            TimeoutError: It took longer than ``timeout`` seconds; says what is lost.
        """
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._ended.wait(timeout)
        self._raise_error()
        with self._changed:
            lost, others = self._num_dropped, 0
            if has_ended := self._ended.is_set():
                text = "could not keep up"
            else:
                text = f"has not received everything after {timeout:g} s"
                lost += sum(are_numbers for _, are_numbers in self._waiting)
                others = sum(not are_numbers for _, are_numbers in self._waiting)
                self._waiting.clear()
        text = f"{self._name} {text}; lost are the numbers of {lost} iterations and {others} other calls."
        if not has_ended:
            raise TimeoutError(text)
        if lost:
            warnings.warn(text, stacklevel=3)

    def _drop_oldest_numbers(self) -> None:
        for place, (_, are_numbers) in enumerate(self._waiting):
            if are_numbers and place > 0:
                del self._waiting[place]
                self._num_dropped += 1
                return
        raise TimeoutError(f"{self._name} does not keep up: {self._max_waiting} calls are waiting.")

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closing)
                if not self._waiting:
                    break
                call, _ = self._waiting[0]
            try:
                call()
            except BaseException as error:
                self._error = error
                break
            with self._changed:
                if self._waiting:  # or it took too long and was given up
                    self._waiting.popleft()
        self._ended.set()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error
