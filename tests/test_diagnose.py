"""Each exact fault is caught under its name by its smallest program; each odd healthy one is left alone."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from diagnosed_faults import FAULTS
from diagnosed_programs import diagnosed
from odd_programs import HEALTHY

from crosscheck.diagnose import diagnose

pytestmark = [
    pytest.mark.every_backend,
    pytest.mark.filterwarnings("ignore:You are using a softmax over axis"),
]


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_caught_under_its_name_and_no_other(name: str) -> None:
    check, make, is_mended = FAULTS[name]
    findings = diagnosed(make())
    assert findings.exit_code == 1, str(findings)
    assert {finding.check for finding in findings.faults} == {check}, str(findings)
    (fault,) = findings.faults
    assert fault.measured and fault.why and fault.fix
    assert ("mended" in fault.tried) == is_mended, str(findings)


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_program_is_left_alone(name: str) -> None:
    findings = diagnosed(HEALTHY[name]())
    assert not findings.faults, str(findings)
    assert findings.exit_code == 0
    assert not [f for f in findings if "could not be made" in f.measured], str(findings)


@pytest.mark.parametrize("name", ["softmax", "two outputs", "subclassed", "regression"])
def test_the_model_is_left_as_it_was(name: str) -> None:
    model, arguments = HEALTHY[name]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        diagnose(model, **arguments, seconds=0)
    before = [np.array(w) for w in model.get_weights()]
    diagnose(model, **arguments, seconds=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert not model.optimizer.variables or int(model.optimizer.iterations) == 0
