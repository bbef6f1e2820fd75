"""Makes subjects of an audit from what a user names or has at hand, and from the losses that Keras ships."""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
import inspect
import io
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from crosscheck.audit import predictions
from crosscheck.audit.claims import as_weights, theory_parameters, with_claim
from crosscheck.audit.contract import KINDS, OF_KERAS, Kind, Subject
from crosscheck.audit.exchanged import in_order
from crosscheck.audit.form import with_form
from crosscheck.audit.keras_losses import configurations, find_keras_loss
from crosscheck.audit.recognition import AGREEMENT, is_squashed, recognise, trial_points, trial_values
from crosscheck.errors import UsageError

OF_EVERY_LOSS = ("name", "reduction", "dtype")
WORDS: Mapping[Kind, tuple[str, ...]] = {  # in this order: a sparse categorical loss is sparse
    "sparse": ("sparse",),
    "categorical": ("categorical", "softmax", "multiclass"),
    "multilabel": ("multilabel",),
    "ordinal": ("ordinal", "coral", "corn"),
    "binary": ("binary", "sigmoid"),
}


@dataclass(frozen=True)
class Told:
    """What a user says of a loss; what is None is found out.

    Attributes:
        kind, theory: as `audit` takes them.
        from_logits: whether predictions are logits.
        class_weights: by which the loss multiplies its theory, one a class.
        axes: how many axes lie between the examples and the classes.
    """

    kind: str | None = None
    theory: str | None = None
    from_logits: bool | None = None
    class_weights: Any = None
    axes: int | None = None


NOTHING = Told()


def keras_subjects() -> tuple[Subject, ...]:
    """Keras' losses of classes, in the configurations that people use."""
    return tuple(
        make_subject(Loaded(f"keras.losses:{name}", getattr(keras.losses, name), config), Told(kind))
        for name, kind, config in configurations()
    )


class Loaded(NamedTuple):
    """A class or function with its arguments, and the loss that was made of it already, if one was."""

    name: str
    loss: Any
    config: dict[str, Any]
    instance: keras.losses.Loss | None = None


def load_subject(target: str, told: Told = NOTHING, config: Mapping[str, Any] | None = None) -> Subject:
    """The loss named `package.module:Name`: a class, a function, or either with its `(argument=value)`.

    A function that is named with arguments is called with them, and what it returns is the loss.

    Raises:
        UsageError: where it cannot be imported or made, or what labels it takes cannot be told.
    """
    return make_subject(load(target, config), told)


def load(target: str, config: Mapping[str, Any] | None = None) -> Loaded:
    """What `load_subject` makes a subject of.

    Raises:
        UsageError: where it cannot be imported or made.
    """
    module, _, expression = target.partition(":")
    if not module or not expression:
        raise UsageError(f"Name the loss as package.module:Name; '{target}' is not of that form.")
    name, positional, named = parse_call(expression)
    loss, arguments = import_loss(module, name), dict(config or {})
    if positional is None:
        return Loaded(target, loss, arguments)
    try:
        if inspect.isclass(loss):
            bound = inspect.signature(loss).bind_partial(*positional, **named)
            return Loaded(f"{module}:{name}", loss, {**bound.arguments, **arguments})
        made = loss(*positional, **{**named, **arguments})
    except Exception as error:
        raise UsageError(f"{target} cannot be made: {type(error).__name__}: {error}") from error
    if not callable(made):
        raise UsageError(f"{target} returns no loss, but a {type(made).__name__}.")
    return at_hand(made, {}, target)


def at_hand(loss: Any, config: Mapping[str, Any], name: str = "") -> Loaded:
    """An instance, a class or a function; an instance stays as it is, and is not made again by its config."""
    if inspect.isclass(loss) or not isinstance(loss, keras.losses.Loss):
        return Loaded(name or name_of(loss), loss, dict(config))
    try:
        kept = {key: value for key, value in loss.get_config().items() if key not in OF_EVERY_LOSS}
    except Exception:  # the checks of saving say so
        kept = {}
    return Loaded(name or name_of(loss), type(loss), {**kept, **config}, loss)


def import_loss(module: str, name: str) -> Any:
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            loss = getattr(importlib.import_module(module), name)
    except AttributeError as error:
        raise UsageError(f"Module {module} has no {name}.") from error
    except (Exception, SystemExit) as error:
        raise UsageError(f"Module {module} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(loss):
        raise UsageError(f"{module}:{name} is neither a class nor a function, but a {type(loss).__name__}.")
    return loss


def parse_call(expression: str) -> tuple[str, list[Any] | None, dict[str, Any]]:
    """The name and the literal arguments of `name` or `name(1, gamma=2)`; None in place of no call.

    Raises:
        UsageError: where it is neither.
    """
    if "(" not in expression:
        return expression, None, {}
    try:
        call = ast.parse(expression, mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise ValueError("it is no call of a name")
        positional = [ast.literal_eval(argument) for argument in call.args]
        named = {str(argument.arg): ast.literal_eval(argument.value) for argument in call.keywords}
    except (SyntaxError, ValueError) as error:
        raise UsageError(
            f"'{expression}' is not of the form name(argument=value), with numbers, words and lists: {error}"
        ) from error
    return call.func.id, positional, named


def subject_of(
    loss: Any,
    kind: str | None = None,
    theory: str | None = None,
    class_weights: Any = None,
    axes: int | None = None,
    **config: Any,
) -> Subject:
    """The subject of a loss that is at hand: an instance, a class, or a function.

    `from_logits` goes to the loss where it takes it, and else tells what predictions are.

    Raises:
        UsageError: where it cannot be made, or what labels it takes cannot be inferred.
    """
    told = Told(kind, theory, None, class_weights, axes)
    if "from_logits" in config and not takes(loss, "from_logits"):
        told = replace(told, from_logits=bool(config.pop("from_logits")))
    return make_subject(at_hand(loss, config), told)


def takes(loss: Any, argument: str) -> bool:
    """Whether a class, or the class of an instance, or a function names this argument."""
    try:
        named = loss if inspect.isclass(loss) or not isinstance(loss, keras.losses.Loss) else type(loss)
        return argument in inspect.signature(named).parameters
    except (TypeError, ValueError):
        return False


def name_of(loss: Any) -> str:
    return getattr(loss, "__name__", type(loss).__name__)


def bare_subject(loaded: Loaded) -> Subject:
    """The subject of which nothing is known but how it is made.

    Raises:
        UsageError: where it cannot be made.
    """
    name, loss, config, instance = loaded
    is_class = inspect.isclass(loss)
    make = constructor_of(loss, config, is_class) if instance is None else copies_of(instance, config)
    try:
        make()
    except Exception as error:
        raise UsageError(
            f"{name} cannot be made: {error} Give constructor arguments as --config '{{\"name\": value}}'."
        ) from error
    return Subject(name, make, "binary", True, None, config, is_class)


def make_subject(loaded: Loaded, told: Told = NOTHING) -> Subject:
    """The subject of a class or function; what is not told is inferred.

    Raises:
        UsageError: where it cannot be made, or what labels it takes cannot be inferred.
    """
    if told.kind is not None and told.kind not in KINDS:
        raise UsageError(f"A loss is of kind {', '.join(KINDS)}, not '{told.kind}'.")
    if told.from_logits is not None and takes(loaded.loss, "from_logits"):
        loaded.config.setdefault("from_logits", told.from_logits)
    name, loss, config, _ = loaded
    unknown = bare_subject(loaded)
    entry = find_keras_loss(loss, told.kind)
    if entry is not None:
        from_logits = config.get("from_logits", default_argument(loss, "from_logits"))
        logits = bool(from_logits) if entry.from_logits is None else entry.from_logits
        shipped_subject = replace(
            unknown,
            kind=entry.kind,
            from_logits=logits,
            theory=entry.theory,
            parameters=theory_parameters(entry.theory, config),
            told=True,
            told_weights=weights_told(told, entry.kind),
            evidence=OF_KERAS,
        )
        return with_claim(with_form(shipped_subject, told.axes), told.theory)
    argument = config.get("from_logits", default_argument(loss, "from_logits"))
    told = replace(told, kind=told.kind or kind_in_name(name))
    return in_order(unknown, lambda subject: infer_subject(subject, told, argument))


def infer_subject(unknown: Subject, told: Told, argument: Any = None) -> Subject:
    """The subject with what it takes and claims, from what is told, its values and its behaviour.

    `argument` is the value of its argument `from_logits`, where it has one.

    Raises:
        UsageError: where its kind cannot be inferred.
    """
    candidates = [
        replace(formed, from_logits=logits, evidence=evidence)
        for formed in formed_subjects(unknown, told)
        for logits, evidence in possible_inputs(told, argument)
    ]
    callable_ones = [candidate for candidate in candidates if not candidate.obstacle]
    refusals: list[UsageError] = []
    for candidate in callable_ones:
        try:
            claimed_subject = claimed(candidate, told)
        except UsageError as error:  # of this kind of labels; another may have such a theory
            refusals.append(error)
            continue
        if claimed_subject:
            return claimed_subject
    if refusals and len(refusals) == len(callable_ones):
        raise refusals[0]
    for candidate in callable_ones:
        squashed = "" if told.theory else is_squashed(candidate)
        if squashed:
            return replace(
                candidate, evidence=candidate.evidence or f"it is {squashed}, of a sigmoid's numbers"
            )
    if candidates and not callable_ones and (told.kind or "factory" in str(candidates[0].obstacle)):
        return candidates[0]
    if not told.kind:
        raise UsageError(f"What labels does {unknown.name} take? Say --kind {'|'.join(KINDS)}.")
    return with_claim(with_input(callable_ones[0]), told.theory)


def formed_subjects(unknown: Subject, told: Told) -> Iterator[Subject]:
    """Yields the subject for every kind of labels that it may take, with its shapes."""
    kinds = [told.kind] if told.kind else [kind for kind in KINDS if kind != "ordinal"]
    for kind in kinds:
        of_kind = replace(unknown, kind=kind)  # type: ignore[arg-type]
        weights = weights_told(told, of_kind.kind)
        yield replace(with_form(of_kind, told.axes), class_weights=weights, told_weights=weights)


def weights_told(told: Told, kind: Kind) -> tuple[float, ...]:
    """The class weights that were told; () for none.

    Raises:
        UsageError: where they are not one for each class.
    """
    weights = as_weights(told.class_weights, kind) if told.class_weights is not None else ()
    if told.class_weights is not None and not weights:
        raise UsageError(f"--class-weights are one number for each of the classes of {kind} labels.")
    return weights


def possible_inputs(told: Told, argument: Any) -> list[tuple[bool, str]]:
    """(whether logits, why it is so or "") for every way in that is left open."""
    if told.from_logits is not None:
        return [(told.from_logits, predictions.TOLD)]
    if isinstance(argument, bool):
        return [(argument, f"by its argument from_logits={argument}")]
    return [(True, ""), (False, "")]


def claimed(candidate: Subject, told: Told) -> Subject | None:
    """The candidate with its theory, told or recognised, where its values are those; else None."""
    if not told.theory:
        recognised_subject = recognise(candidate)
        if not recognised_subject.theory:
            return None
        why = f"its values are those of {recognised_subject.theory}"
        return replace(recognised_subject, evidence=candidate.evidence or why)
    subject = with_claim(candidate, told.theory)
    if candidate.evidence and told.kind:
        return subject
    values = trial_values(subject)
    if values is None or not follows(subject, values):
        return None
    return replace(subject, evidence=candidate.evidence or f"only so its values are those of {told.theory}")


def follows(subject: Subject, values: Any) -> bool:
    """Whether the values are the claimed theory's, or a multiple of them."""
    exact = subject.expected(*trial_points(subject.kind))
    if exact is None:
        return False
    ratios = values / exact.value
    middle = float(np.median(ratios))
    return bool(middle and np.allclose(ratios, middle, rtol=AGREEMENT))


def with_input(subject: Subject) -> Subject:
    """The subject with its way in, by its behaviour where nothing else told it; else with an obstacle."""
    if subject.evidence:
        return subject
    logits, why = predictions.input_of(subject)
    if logits is None:
        return replace(subject, obstacle=predictions.cannot_tell(subject, why))
    return replace(subject, from_logits=logits, evidence=why)


def kind_in_name(name: str) -> Kind | None:
    """The kind of labels that the name of a loss contains; None where it contains none."""
    plain_name = name.rpartition(":")[2].lower().replace("_", "")
    return next((kind for kind, words in WORDS.items() if any(word in plain_name for word in words)), None)


def constructor_of(loss: Any, config: Mapping[str, Any], is_class: bool) -> Callable[..., Any]:
    if is_class:
        return lambda **changed: loss(**{**config, **changed})

    def bound(**changed: Any) -> Any:
        """Returns the function itself where no argument is bound to it: Keras saves it by its name."""
        arguments = {**config, **changed}
        return functools.partial(loss, **arguments) if arguments else loss

    return bound


def copies_of(instance: keras.losses.Loss, config: Mapping[str, Any]) -> Callable[..., Any]:
    """A function that returns copies of a loss, or a new loss where constructor arguments are changed."""

    def make(**changed: Any) -> Any:
        if set(changed) - {"reduction"}:
            return type(instance)(**{**config, **changed})
        loss = object.__new__(type(instance))  # `copy` would go by way of the config
        vars(loss).update(vars(instance) | changed)
        return loss

    return make


def default_argument(loss: Any, argument: str) -> Any:
    try:
        parameter = inspect.signature(loss).parameters.get(argument)
    except (TypeError, ValueError):
        return None
    return None if parameter is None else parameter.default
