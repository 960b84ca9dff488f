from collections.abc import Iterator

import pytest

from execution.brokers.alpaca import AlpacaBroker
from tests.execution.brokers.alpaca.stub import Stub, broker_at, serving


@pytest.fixture
def served() -> Iterator[tuple[Stub, str]]:
    with serving() as pair:
        yield pair


@pytest.fixture
def stub(served: tuple[Stub, str]) -> Stub:
    return served[0]


@pytest.fixture
def broker(served: tuple[Stub, str]) -> Iterator[AlpacaBroker]:
    with broker_at(served[1]) as adapter:
        yield adapter
