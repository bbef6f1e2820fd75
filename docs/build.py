"""`docs/api.md` from the docstrings: `python docs/build.py` writes it, a test holds it to them."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("api.md")
PUBLIC = {
    "crosscheck.losses": """BinaryCrossentropy CategoricalCrossentropy SparseCategoricalCrossentropy
        JointCrossentropy Brier CategoricalBrier EnergyMarginCrossentropy OutlierExposureCrossentropy
        LogitLoss binary_crossentropy categorical_crossentropy sparse_categorical_crossentropy
        joint_crossentropy brier categorical_brier zero_one energy energy_margin energy_margin_crossentropy
        outlier_exposure_crossentropy marginals most_likely""",
    "crosscheck.regularizers": "GaussianPrior LaplacePrior",
    "crosscheck.optimizers": "Proximal",
    "crosscheck.metrics": """ExpectedCalibrationError Reliability BrierScore NegativeLogLikelihood
        MutualInformationGap expected_calibration_error negative_log_likelihood mutual_information_gap""",
    "crosscheck.callbacks": "SaturationMonitor CalibrationMonitor",
    "crosscheck.calibration": "calibrate fit_temperature with_temperature Temperature",
    "crosscheck.models.chain": "ClassifierChain",
    "crosscheck.detection": """softmax_score logit_score energy_score entropy_score auroc aupr fpr95""",
    "crosscheck.replicates": "Replicates History batch_order",
    "crosscheck.paths": "Path grid oracle",
    "crosscheck.paths.probing": "probe skipped_steps",
    "crosscheck.doctor": "examine Diagnosis Reading",
    "crosscheck.testing": "check_loss parametrize_with_checks",
}
SECTION = re.compile(r"(Args|Arguments|Attributes|Returns|Raises|Source|Yields|Example):(.*)")


def page() -> str:
    parts = [
        "# API",
        "Built from the docstrings by `python docs/build.py`. Axes: R replicates, N examples, B batch, "
        "K classes, L labels, D features.",
    ]
    for name, names in PUBLIC.items():
        module = importlib.import_module(name)
        parts += [f"## `{name}`", summary(module), *(entry(module, each) for each in names.split())]
    return "\n\n".join(parts) + "\n"


def summary(module: Any) -> str:
    return " ".join((inspect.getdoc(module) or "").split("\n\n")[0].split())


def entry(module: Any, name: str) -> str:
    found = getattr(module, name)
    kind = "class " if inspect.isclass(found) else ""
    parts = [f"### {kind}`{name}`", f"```python\n{name}{signature(found)}\n```", *told(found)]
    for method, function in methods(found):
        parts += [
            f"#### `{name}.{method}`",
            f"```python\n{method}{signature(function)}\n```",
            *told(function),
        ]
    return "\n\n".join(parts)


def signature(found: Any) -> str:
    return re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(found)))  # annotations are text


def methods(found: Any) -> Iterator[tuple[str, Any]]:
    """What a class adds of its own and documents at some length."""
    if inspect.isclass(found):
        for name, value in vars(found).items():
            if not name.startswith("_") and inspect.isfunction(value) and len(value.__doc__ or "") > 80:
                yield name, value


def told(found: Any) -> Iterator[str]:
    """A docstring as Markdown: its sections become lists."""
    for block in (inspect.getdoc(found) or "").split("\n\n"):
        first, *rest = block.splitlines()
        section = SECTION.fullmatch(first)
        if section and rest:
            yield f"**{section[1]}**\n\n{items(section[1], rest)}"
        elif section:
            yield f"**{section[1]}**: {section[2].strip()}"
        elif ">>>" in block:
            yield f"```pycon\n{inspect.cleandoc(block)}\n```"
        else:
            yield block


def items(section: str, lines: list[str]) -> str:
    """Lines that go on are joined to their item; a section without names is text."""
    joined: list[str] = []
    for line in inspect.cleandoc("\n".join(lines)).splitlines():
        if line.startswith(" ") and joined:
            joined[-1] += " " + line.strip()
        else:
            joined.append(line)
    if section in ("Returns", "Yields", "Source"):
        return " ".join(joined)
    return "\n".join(re.sub(r"^([\w, ]+?): ", lambda name: f"- `{name[1]}`: ", line) for line in joined)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
