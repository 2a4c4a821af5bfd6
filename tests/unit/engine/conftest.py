"""Tests of this directory may be coroutines."""

from tests.fakes.coroutines import pytest_pyfunc_call as pytest_pyfunc_call
