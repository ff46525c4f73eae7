import pytest
from device_process import DEVICE


@pytest.fixture(scope="session", autouse=True)
def _device_process_ends():
    yield
    DEVICE.stop()
