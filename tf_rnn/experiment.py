"""The verbs: train, compare, recommend and lags of one setup, resuming a run, and lags of a trained network.

    experiment = tf_rnn.Experiment("text", cell="lstm", state_size=64)      # or a Task of one's own
    run = experiment.train(num_steps=20, epochs=5, out="runs/a")            # run.curve, run.load()
    run = tf_rnn.resume("runs/a", epochs=20)
    study = experiment.lags()                                               # where the gradient goes
    study = tf_rnn.lags("model.keras", task, window=20)                     # of a network trained elsewhere

The command line calls these and nothing else.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tf_rnn.analysis.of_model import ModelStudy, model_identity, study_model
from tf_rnn.analysis.study import LagStudy, lag_identity, study_lags
from tf_rnn.comparison import Comparison, compare, plan_comparison, recommend
from tf_rnn.files import CONFIG, NAMED, as_path, folder_name, is_there, require_new
from tf_rnn.options import (
    STATES,
    SUITS_TASK,
    Option,
    OptionError,
    require_block,
    require_choice,
    require_schedule,
    shown,
    suggests,
)
from tf_rnn.options.declared import (
    COMPARE_OPTIONS,
    LAGS_OPTIONS,
    LENGTH_OPTIONS,
    MODEL_LAGS_OPTIONS,
    NETWORK_OPTIONS,
    PATIENCE,
    RECOMMEND_OPTIONS,
    SETUP_OPTIONS,
    TASK_OPTIONS,
    TENSORBOARD,
    THREADS,
    TRAINING_OPTIONS,
    WORKER_OPTIONS,
)
from tf_rnn.run_config import RUN_OPTIONS
from tf_rnn.setup import Setup, check_setup, require_meaning, setup_identity, task_of
from tf_rnn.tasks import TABLES, TASKS, Defaults, Task
from tf_rnn.tasks.language import whole_path
from tf_rnn.training_run import PreparedRun, Run, one_amount, prepared_resume

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tf_rnn.comparison import Plan, Recommendation, Sweep
    from tf_rnn.training.origin import Origin

# How much each run of a comparison gets if nothing else is said; of tokens, what suits the task.
AMOUNTS = {"updates": 2000.0, "seconds": 5.0, "epochs": 5.0}
# Networks whose gradient is measured are trained for this fraction of the tokens that suit the task.
SHARE_OF_TOKENS = 0.2


class Experiment:
    """One setup and what can be done with it.

    Args:
        task: A name in `tf_rnn.tasks.TASKS`, or a `Task`; None for that of the option `data`, or "echo".
        **options: Those of `Setup`, of the named task and of the cell, as on the command line.

    Attributes:
        setup: The setup, complete.
        task: The task.

    Raises:
        OptionError: If an option is not allowed.
        TypeError: If there is no such option.
    """

    def __init__(self, task: str | Task | None = None, **options: Any) -> None:
        task = task_of(options) if task is None else task
        self._given: dict[str, Any] = {"task": task, **options}
        self.setup = Setup.of(task=task, **options)
        require_meaning(self.setup, options)
        self._data = whole_path(self.setup.task_options.get("data"))
        if self.setup.task in TABLES:
            self.setup = self._sized(self.setup, self.task)

    def __repr__(self) -> str:
        return self.setup.shown("Experiment")

    def _sized(self, setup: Setup, task: Task) -> Setup:
        """A setup with the batch size that the size of a table suggests, unless one was given."""
        if setup.task not in TABLES or "batch_size" in self._given:
            return setup
        return dataclasses.replace(setup, batch_size=task.defaults.batch_size)

    @functools.cached_property
    def task(self) -> Task:
        """The task, made once."""
        return self._made(self.setup)

    def _made(self, setup: Setup) -> Task:
        """The task of a setup; a relative path of data is meant as it was when the experiment was made."""
        data = setup.task_options.get("data")
        if data == self.setup.task_options.get("data") and whole_path(data) != self._data:
            setup = dataclasses.replace(setup, task_options=setup.task_options | {"data": self._data})
        return setup.make_task()

    @property
    def defaults(self) -> Defaults:
        """What suits the task, and its data where their size matters."""
        return getattr(self.task, "defaults", self.setup.defaults)

    def train(
        self,
        num_steps: int | None = None,
        *,
        callbacks: Sequence[Any] | None = None,
        threads: int | None = None,
        resume: str | None = None,
        **options: Any,
    ) -> Run:
        """Trains one network.

        Args:
            num_steps: Length of the unrolled graph; None for the longest that suits the task.
            callbacks: What is called during training; None shows a progress line, () nothing.
            threads: CPU threads; None for one per core.
            resume: "auto" resumes the run in the folder `out` if there is one; see also `tf_rnn.resume`.
            **options: See `prepare`.

        Raises:
            OptionError: If an option is not allowed.
            DivergedError: If the loss or its gradient is not finite.
        """
        if resume not in (None, "auto"):
            raise OptionError("resume", f"must be None or 'auto' (see tf_rnn.resume), got {shown(resume)}")
        folder = None if resume is None else as_path("out", options.get("out"))
        if folder is not None and is_there(folder, CONFIG):
            prepared = self._resumed(folder, options | {"num_steps": num_steps})
        else:
            prepared = self.prepare(num_steps, **options)
        return prepared.start(callbacks, THREADS.check(threads))

    def _resumed(self, folder: Path, options: dict[str, Any]) -> PreparedRun:
        """The run in a folder, to be resumed with the options of this experiment and those of `train`."""
        inspect.signature(Experiment.prepare).bind(self, **options)
        given = (
            self._given | self._given.get("task_options", {}) | self._given.get("cell_options", {}) | options
        )
        given = {name: given[name] for name in RUN_OPTIONS if given.get(name) is not None}
        return prepared_resume(folder, given, None if given["task"] in TASKS else given.pop("task"))

    @suggests
    def prepare(
        self,
        num_steps: int | None = None,
        *,
        epochs: float | None = None,
        tokens: float | None = None,
        updates: float | None = None,
        seconds: float | None = None,
        state: str = "carry",
        evaluations: int | None = None,
        schedule_width: str | Sequence[int] | None = None,
        schedule: str = "constant",
        decay: float = TRAINING_OPTIONS["decay"].default,
        decay_after: int | None = None,
        warm_up_updates: int = TRAINING_OPTIONS["warm_up_updates"].default,
        patience: int | None = None,
        seed: int = 0,
        start_from: str | os.PathLike[str] | Origin | None = None,
        out: str | os.PathLike[str] | None = None,
    ) -> PreparedRun:
        """Checks everything about a training run, before anything is written or TensorFlow is loaded.

        Args:
            num_steps: See `train`.
            epochs: Total training length; give this or one of the next three (default: 10 epochs;
                small tables and arrays more).
            tokens: The same in time steps over all rows.
            updates: The same in training steps.
            seconds: The same in seconds of training, evaluation not counted.
            state: "carry" keeps the state between blocks, "reset" starts each block at zero.
            evaluations: How many, evenly spread; None for one after each epoch.
            schedule_width: Lengths of a graph that grows, "5:20:50", an equal part of the training for each;
                instead of `num_steps`.
            schedule: Schedule of the learning rate, see `tf_rnn.Schedule`.
            decay: Its factor.
            decay_after: Epochs before it sets in.
            warm_up_updates: Training steps over which the learning rate rises linearly to the schedule's.
            patience: Stop early after so many evaluations without improvement; None for never.
            seed: For weights, dropout and data order.
            start_from: The folder of a trained run, to begin with the weights of its best checkpoint. The
                network is that of the trained run, and so are the vocabulary of a text and the options of the
                task that the experiment was not given; how to train is said anew.
            out: A new folder for the run; None to write nothing.

        Raises:
            OptionError: If an option is not allowed.
        """
        amounts = {"epochs": epochs, "tokens": tokens, "updates": updates, "seconds": seconds}
        amount = one_amount(amounts)
        setup, task, origin = self._started(start_from)
        widths = TRAINING_OPTIONS["schedule_width"].check(schedule_width)
        if widths:
            if num_steps is not None:
                raise OptionError("num_steps", f"must be left out beside schedule_width, got {num_steps!r}")
            require_block(setup.style)
        suits = verb_defaults("train", getattr(task, "defaults", setup.defaults))
        amount = amount or {"epochs": suits["epochs"]}
        longest = max(widths) if widths else suits["num_steps"]
        given = {
            "num_steps": longest if num_steps is None else num_steps,
            "schedule_width": widths,
            "state": state,
            "evaluations": evaluations,
            "schedule": schedule,
            "decay": decay,
            "decay_after": decay_after,
            "warm_up_updates": warm_up_updates,
            "seed": seed,
        }
        training = _checked(TRAINING_OPTIONS, given) | {"patience": PATIENCE.check(patience)}
        require_schedule(schedule, decay, decay_after, warm_up_updates)
        check_setup(setup, task, [*(widths or ()), training["num_steps"]])
        identity = setup_identity(setup, task) | training | amount
        identity |= {"start_from": origin.record} if origin else {}
        folder = _folder("train", out, identity)
        if folder is not None:
            require_new(folder)
        return PreparedRun.new(setup, task, training, amount, folder, origin)

    def _started(
        self, start_from: str | os.PathLike[str] | Origin | None
    ) -> tuple[Setup, Task, Origin | None]:
        """Setup and task of a run, and the trained run that it begins with, if it does."""
        if start_from is None:
            return self.setup, self.task, None
        from tf_rnn.training.origin import find_origin  # noqa: PLC0415 (a refusal need not wait for it)

        origin = find_origin(start_from)
        setup = Setup.of(**origin.options(self._given))
        task = self._made(setup)
        return self._sized(setup, task), task, find_origin(origin, task)

    @suggests
    def compare(
        self,
        num_steps: Sequence[int | str] | str | None = None,
        *,
        state: Sequence[str] = STATES,
        learning_rate: Sequence[float] | None = None,
        seeds: int = COMPARE_OPTIONS["seeds"].default,
        budget: str = COMPARE_OPTIONS["budget"].default,
        amount: float | None = None,
        out: str | os.PathLike[str] | None = None,
        workers: int | None = None,
        scheduler: str = "local",
        tensorboard: bool = False,
        command: Sequence[str] = (),
    ) -> Sweep:
        """Trains networks at several lengths of the graph with the same budget, and compares them.

        Args:
            num_steps: The lengths, or ranges such as "5:50:5" and "1:64:log2"; None for those that suit the
                task.
            state: "carry", "reset" or both.
            learning_rate: Learning rates; each length is judged at its best one. None for the setup's.
            seeds: Runs for each, from different random initialisations.
            budget: What each run gets the same amount of: "tokens", "updates", "seconds" or "epochs".
            amount: How much of it; None for what suits the task.
            out: A folder for the results; runs that it holds are not repeated. None to write nothing.
            workers: Parallel processes; None for one per CPU core.
            scheduler: "local", or the address of a Dask scheduler.
            tensorboard: Whether to write a row of TensorBoard's HPARAMS tab for each run to `out`/summaries.
            command: The command line to show in the report.

        Raises:
            OptionError: If an option is not allowed.
            WorkerDiedError: If costs cannot be measured.
        """
        arguments = self._compared(
            "compare",
            num_steps=num_steps,
            state=state,
            learning_rate=learning_rate,
            seeds=seeds,
            budget=budget,
            amount=amount,
            out=out,
            workers=workers,
            scheduler=scheduler,
        )
        return compare(**arguments, tensorboard=TENSORBOARD.check(tensorboard), command=command)

    @suggests
    def recommend(
        self,
        num_steps: Sequence[int | str] | str | None = None,
        *,
        state: str = "carry",
        learning_rate: Sequence[float] | None = None,
        seeds: int = RECOMMEND_OPTIONS["seeds"].default,
        budget: str = COMPARE_OPTIONS["budget"].default,
        amount: float | None = None,
        verify: bool = False,
        out: str | os.PathLike[str] | None = None,
        workers: int | None = None,
        scheduler: str = "local",
        tensorboard: bool = False,
        command: Sequence[str] = (),
    ) -> Recommendation:
        """Finds the length that `compare` would name, for a fraction of its price: a race.

        Args:
            num_steps: The lengths to begin with, as for `compare`; longer ones join while the longest is
                among the best.
            state: "carry" or "reset".
            learning_rate: As for `compare`.
            seeds: Runs for each length that stays in the race.
            budget: As for `compare`.
            amount: The training that the answer is for; most runs are stopped much earlier.
            verify: Whether to train every length for the whole budget afterwards, and see whether the
                answer holds.
            out: A folder for the results; an interrupted race resumes. None to write nothing.
            workers: Parallel processes; None for one per CPU core.
            scheduler: "local", or the address of a Dask scheduler.
            tensorboard: Whether to write a row of TensorBoard's HPARAMS tab for each run to `out`/summaries.
            command: The command line to show in the report.

        Raises:
            OptionError: If an option is not allowed, or the data are too short.
            WorkerDiedError: If costs cannot be measured, or a run's worker died every time.
        """
        verify = RECOMMEND_OPTIONS["verify"].check(verify)
        arguments = self._compared(
            "recommend",
            num_steps=num_steps,
            state=state,
            learning_rate=learning_rate,
            seeds=seeds,
            budget=budget,
            amount=amount,
            out=out,
            workers=workers,
            scheduler=scheduler,
        )
        return recommend(
            **arguments, verify=verify, tensorboard=TENSORBOARD.check(tensorboard), command=command
        )

    def plan(self, verb: str = "compare", num_steps: Any = None, **options: Any) -> Plan:
        """The runs that `compare` or `recommend` would train, and about how long they take.

        Costs are measured; nothing is trained and nothing written. What the verb would refuse is refused.

        Args:
            verb: "compare" or "recommend".
            num_steps: As for the verb.
            **options: Those of the verb.

        Raises:
            OptionError: If an option is not allowed.
            WorkerDiedError: If costs cannot be measured.
        """
        call = getattr(Experiment, require_choice("verb", verb, ("compare", "recommend")))
        bound = inspect.signature(call).bind(self, num_steps, **options)
        bound.apply_defaults()
        verify = RECOMMEND_OPTIONS["verify"].check(bound.arguments.get("verify", False))
        given = {name: bound.arguments[name] for name in (*COMPARE_OPTIONS, *WORKER_OPTIONS, "out")}
        arguments = self._compared(verb, **given)
        return plan_comparison(**arguments, is_race=verb == "recommend", verify=verify)

    def _compared(
        self,
        verb: str,
        *,
        num_steps: Any,
        learning_rate: Any,
        budget: str,
        amount: float | None,
        out: Any,
        workers: int | None,
        scheduler: str,
        **given: Any,
    ) -> dict[str, Any]:
        """The arguments of a comparison or a race, all options checked; what suits the task for None."""
        suits, budget = verb_defaults(verb, self.defaults), COMPARE_OPTIONS["budget"].check(budget)
        given |= {
            "num_steps": suits["num_steps"] if num_steps is None else num_steps,
            "learning_rate": (self.setup.learning_rate,) if learning_rate is None else learning_rate,
            "budget": budget,
            "amount": AMOUNTS.get(budget, suits["amount"]) if amount is None else amount,
        }
        chosen = _checked(RECOMMEND_OPTIONS if verb == "recommend" else COMPARE_OPTIONS, given)
        state = chosen.pop("state")
        compared = Comparison(setup=self.setup, state=(state,) if isinstance(state, str) else state, **chosen)
        where = _checked(WORKER_OPTIONS, {"workers": workers, "scheduler": scheduler})
        task = compared.make_task(self.task)
        folder = _folder(verb, out, compared.identity(task))
        return {"comparison": compared, "task": task, "out": folder, **where}

    @suggests
    def lags(
        self,
        num_steps: int | None = None,
        *,
        tokens: float | None = None,
        state: str = "carry",
        reference: str = LAGS_OPTIONS["reference"].default,
        at: int | None = None,
        seed: int = 0,
        out: str | os.PathLike[str] | None = None,
        threads: int | None = None,
        callbacks: Sequence[Any] | None = None,
        command: Sequence[str] = (),
    ) -> LagStudy:
        """Measures how far back the gradient reaches, before and after training.

        Args:
            num_steps: How far back to look; the network is trained at this length.
            tokens: Training length, 0 for none; None for a fifth of a run of `compare`.
            state: "carry" or "reset", in training.
            reference: The gradient that truncated ones are compared with: "widest", over `num_steps` steps,
                or "infinite", over the whole past.
            at: A position in the held-out data, from 0: what its prediction owes to each input is then
                in `LagStudy.at`, see `tf_rnn.analysis.InputGradients`.
            seed: Seed of the initial weights.
            out: A folder for the results; None to write nothing.
            threads: CPU threads; None for one per core.
            callbacks: What is called during training; None shows a progress line, () nothing.
            command: The command line to show in the report.

        Raises:
            OptionError: If an option is not allowed.
            DivergedError: If the loss is not finite.
        """
        given = {"state": state, "reference": reference, "at": at, "seed": seed, "threads": threads}
        asked = {"num_steps": num_steps, "tokens": tokens}
        given |= verb_defaults("lags", self.defaults) | {
            name: asked[name] for name in asked if asked[name] is not None
        }
        chosen = _checked(LAGS_OPTIONS, given)
        threads = chosen.pop("threads")
        check_setup(self.setup, self.task, [chosen["num_steps"]])
        folder = _folder("lags", out, lag_identity(self.setup, self.task, **chosen))
        return study_lags(
            self.setup, self.task, **chosen, out=folder, threads=threads, callbacks=callbacks, command=command
        )


def _folder(verb: str, out: object, identity: dict[str, Any]) -> Path | None:
    """Where results go: nowhere, to a given folder, or to one named after the options."""
    if out is NAMED:
        return NAMED / folder_name(verb, identity)
    return None if out is None else as_path("out", out)


def verb_defaults(verb: str, defaults: Defaults) -> dict[str, Any]:
    """The options of a verb that are left to the task, by name.

    Args:
        verb: "train", "compare", "recommend" or "lags".
        defaults: What suits the task.
    """
    if verb == "train":
        return {"num_steps": max(defaults.num_steps), "epochs": float(defaults.epochs)}
    if verb == "lags":
        return {"num_steps": defaults.longest, "tokens": defaults.tokens * SHARE_OF_TOKENS}
    return {"num_steps": defaults.num_steps, "amount": defaults.tokens}


def task_defaults(verb: str, task: str) -> dict[str, Any]:
    """The defaults of a verb's options for a task, by name, but for those that depend on the size of a table.

    Args:
        verb: See `verb_defaults`.
        task: The name of the task.
    """
    setup = Setup(task=task)
    suits = {
        name: getattr(setup, name) for name, option in NETWORK_OPTIONS.items() if option.default is SUITS_TASK
    }
    own = {
        name: each.default for name, each in inspect.signature(TASKS[task]).parameters.items() if each.default
    }
    if task in TABLES:
        sized = dict.fromkeys(("batch_size", "epochs"), "what suits the size of the table")
        return own | suits | setup.cell_options | sized
    return own | suits | setup.cell_options | verb_defaults(verb, setup.defaults)


def _checked(options: Mapping[str, Option], given: dict[str, Any]) -> dict[str, Any]:
    """Values of options as plain Python, or an OptionError."""
    return {name: options[name].check(value) for name, value in given.items()}


def resume(
    folder: str | os.PathLike[str],
    *,
    callbacks: Sequence[Any] | None = None,
    threads: int | None = None,
    task: str | Task | None = None,
    **changes: Any,
) -> Run:
    """Resumes a training run.

    Args:
        folder: Where it was kept.
        callbacks: What is called during training; None shows a progress line, () nothing.
        threads: CPU threads; None for one per core.
        task: The task; needed only if it is not one of `tf_rnn.tasks`.
        **changes: Options that a resumed run may change: how long to train, `patience`, `num_steps`,
            `batch_size`, `learning_rate`, `clip_norm`, `weight_decay`, `recompute`, `precision`, `data`.
            Others may be repeated.

    Raises:
        OptionError: If there is no run, or an option may not change.
        DivergedError: If the loss or its gradient is not finite.
    """
    if task is not None and not isinstance(task, Task):  # a name, which has to be that of the run
        changes, task = changes | {"task": task}, None
    return prepared_resume(folder, changes, task).start(callbacks, THREADS.check(threads))


def lags(
    model: Any,
    task: str | Task | None = None,
    num_steps: int | None = None,
    *,
    window: int | None = None,
    reference: str = LAGS_OPTIONS["reference"].default,
    at: int | None = None,
    batch_size: int | None = None,
    out: str | os.PathLike[str] | None = None,
    command: Sequence[str] = (),
    **options: Any,
) -> ModelStudy:
    """Measures how far back a trained network looks, and what truncation cuts off; it is not trained.

        study = tf_rnn.lags("model.keras", task, window=20)
        print(*study.sentences)
        study.figure()

    Args:
        model: A network of this package, of Keras or of PyTorch; see `tf_rnn.inference.open_model`.
        task: What it was trained on; a run of this package knows.
        num_steps: How far back to look; None for what suits the task, and twice the window at least.
        window: The width of the graph that the network was trained in; the study says what it cut off.
        reference: The gradient that truncated ones are compared with: "widest", over `num_steps` steps, or
            "infinite", over the whole past.
        at: A position in the held-out data, from 0: what its prediction owes to each input is then in `at`.
        batch_size: Rows that are read in parallel; None for what suits the data.
        out: A folder for the results; None to write nothing.
        command: The command line to show in the report.
        **options: Those of the named task (`data`, ...), and `activation` of an `nn.RNN`.

    Raises:
        OptionError: If the network cannot be read, or an option is not allowed.
        TypeError: If there is no such option.
    """
    from tf_rnn.inference import open_model  # noqa: PLC0415 (a refusal need not wait for it)

    for name in options:
        if name not in (*LAGS_OPTIONS, *SETUP_OPTIONS, *LENGTH_OPTIONS):
            raise TypeError(f"lags() got an unexpected keyword argument {name!r}")
        if name not in (*TASK_OPTIONS, "activation"):
            raise OptionError(name, "must be left out where model is given, as it is trained already")
    given = {
        "num_steps": num_steps,
        "reference": reference,
        "at": at,
        "window": window,
        "batch_size": batch_size,
    }
    chosen: dict[str, Any] = {
        name: value if value is None else MODEL_LAGS_OPTIONS[name].check(value)
        for name, value in given.items()
    }
    opened, data = open_model(model, task, **options)
    identity = model_identity(opened, data, **chosen)
    title = Path(model).name if isinstance(model, str | os.PathLike) else "model"
    return study_model(opened, data, identity, title, _folder("lags", out, identity), command)
