# SPDX-License-Identifier: LGPL-2.1-or-later
"""How long we wait, and what we do not try again."""

import socket
from unittest.mock import Mock

import pytest

from atomic_sys.image.http import ConnectionFailed, Http, Request, Unreachable
from atomic_sys.image.http_response import NetworkError, Temporary
from atomic_sys.image.retry import Patience, retry_after

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


class Failing:
    """An operation that raises these errors in turn, and then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.waits: list[float] = []
        self.patience = Patience(sleep=self.waits.append, now=lambda: NOW)

    def __call__(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "done"


@pytest.mark.parametrize(
    ("errors", "waits"),
    [
        ([], []),
        ([Temporary("x")] * 3, [1, 2, 4]),
        ([Temporary("x", busy=True)] * 4, [2, 4, 8, 16]),
        ([Temporary("x", busy=True), Temporary("y")], [2, 1]),
        ([Temporary("x", retry_after="7", busy=True)], [7]),
        ([Temporary("x", retry_after="0")], [0]),
    ],
)
def test_waits(errors: list[Exception], waits: list[float]) -> None:
    operation = Failing(*errors)
    assert operation.patience.call(operation) == "done"
    assert operation.waits == waits


@pytest.mark.parametrize(
    ("errors", "tries"),
    [
        ([NetworkError("final")], 1),
        ([Temporary("final")] * 9, 4),
        ([Temporary("final", busy=True)] * 9, 5),
        ([Temporary("final", retry_after="121")], 1),
        ([Temporary("x"), NetworkError("final")], 2),
    ],
)
def test_no_hope(errors: list[Exception], tries: int) -> None:
    operation = Failing(*errors)
    with pytest.raises(NetworkError, match="final"):
        operation.patience.call(operation)
    assert len(operation.waits) == tries - 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("5", 5),
        (" 60 ", 60),
        ("9" * 50, 999999999999),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 0),
        ("Tue, 99 Nov 2023 22:13:00 GMT", None),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds


def test_nobody_there_may_pass_but_a_name_that_nobody_has_does_not(
    http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Unreachable), http.send(Request(url="http://127.0.0.1:1/")):
        pass
    with pytest.raises(ConnectionFailed) as caught, http.send(Request(url="http://a..b/")):
        pass
    assert not isinstance(caught.value, Temporary)
    for code, passes in ((socket.EAI_NONAME, False), (socket.EAI_AGAIN, True)):
        failing = Mock(side_effect=socket.gaierror(code, "no"))
        monkeypatch.setattr(socket, "getaddrinfo", failing)
        with pytest.raises(ConnectionFailed) as caught, http.send(Request(url="http://h.invalid/")):
            pass
        assert isinstance(caught.value, Temporary) == passes
