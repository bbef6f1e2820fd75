"""The checks: each takes a `Program` and yields its `Finding`s."""

from collections.abc import Callable, Iterator

from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._laboratory import Laboratory
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._suspicions import Suspicion
from crosscheck.diagnose.checks.activity import (
    dead_units,
    exploding_gradients,
    saturated_units,
    vanishing_gradients,
)
from crosscheck.diagnose.checks.adapted import adapted
from crosscheck.diagnose.checks.arguments import arguments
from crosscheck.diagnose.checks.by_heart import cannot_overfit
from crosscheck.diagnose.checks.clipping import clipping
from crosscheck.diagnose.checks.frozen import frozen_statistics
from crosscheck.diagnose.checks.head import head
from crosscheck.diagnose.checks.history import HISTORY as HISTORY
from crosscheck.diagnose.checks.inputs import inputs
from crosscheck.diagnose.checks.labels import labels
from crosscheck.diagnose.checks.layers import layers
from crosscheck.diagnose.checks.loss_weights import loss_weights
from crosscheck.diagnose.checks.metrics import metrics
from crosscheck.diagnose.checks.one_step import ONE_STEP as ONE_STEP
from crosscheck.diagnose.checks.one_step import is_reproducible, mode_gap
from crosscheck.diagnose.checks.rates import learning_rate
from crosscheck.diagnose.checks.refusals import refusals
from crosscheck.diagnose.checks.signals import initial_loss, labels_follow, prior_alone
from crosscheck.diagnose.checks.splits import splits
from crosscheck.diagnose.checks.training import (
    bad_probabilities,
    ignores_input,
    inputs_scale,
    learning_rate_too_high,
    learning_rate_too_low,
    one_seed,
)
from crosscheck.diagnose.checks.unseen import unseen_rows
from crosscheck.diagnose.checks.validation import validation
from crosscheck.diagnose.checks.weights import weights

Check = Callable[[Program], Iterator[Finding]]
Trial = Callable[[Laboratory], Iterator[Finding | Suspicion]]

EXACT: tuple[Check, ...] = (
    *(inputs, adapted, frozen_statistics, labels, head, arguments, refusals, loss_weights),
    *(learning_rate, clipping, layers, weights, validation, splits, metrics),
)
# In order of what is to be mended first: a fault is looked for where none before it was found.
STATISTICAL: dict[str, Trial] = {
    "labels-follow-inputs": labels_follow,
    "uses-its-input": ignores_input,
    "modes-agree": mode_gap,
    "inputs-scale": inputs_scale,
    "exploding-gradients": exploding_gradients,
    "learning-rate-high": learning_rate_too_high,
    "learning-rate-low": learning_rate_too_low,
    "vanishing-gradients": vanishing_gradients,
    "dead-units": dead_units,
    "overfits-few-rows": cannot_overfit,
}
NOTES: tuple[Trial, ...] = (  # of which nothing is a ✗
    unseen_rows,
    initial_loss,
    prior_alone,
    bad_probabilities,
    saturated_units,
    one_seed,
    is_reproducible,
)
