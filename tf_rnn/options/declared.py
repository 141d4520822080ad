"""Every option, declared once.

The groups are those of a help page. An option that means something else in one command (a list of widths
instead of one, say) is declared in that command's group from the general one.
"""

from __future__ import annotations

from tf_rnn.options.option import SUITS_TASK, Option, by_name
from tf_rnn.options.rules import (
    Choice,
    Encoding,
    EscapedText,
    Flag,
    GrowingWidth,
    ListOf,
    Names,
    NpzFile,
    Number,
    OptionFile,
    OrNone,
    Path,
    Scheduler,
    Text,
    Whole,
    Widths,
    WordOrWhole,
)
from tf_rnn.options.words import (
    ACTIVATIONS,
    BUDGETS,
    CALENDAR,
    CELLS,
    CHECKPOINTS_TO_USE,
    DIFFERENCES,
    DTYPES,
    INITIAL_STATES,
    INPUT_KINDS,
    LABEL_AT,
    LARGEST_PROBE,
    LARGEST_SIZE,
    LARGEST_WIDTH,
    LOSSES,
    MOST,
    OPTIMIZERS,
    PRECISIONS,
    READOUTS,
    RECURRENT_INITS,
    REDUCTIONS,
    REFERENCES,
    SCHEDULES,
    SPLITS,
    STATES,
    STYLES,
    TASK_TYPES,
    TASKS,
)

SIZE = Whole(at_most=LARGEST_SIZE)
WIDTH = Whole(at_most=LARGEST_WIDTH)
POSITIVE = Number(above=0)
FRACTION = Number(above=0, below=1)
SEED = Option(
    name="seed",
    rule=Whole(at_least=0),
    default=0,
    help="seed for weights, dropout and data order",
)
OUT = Option(name="out", rule=Path(), help="folder for the results")

START_FROM = Option(
    name="start_from",
    rule=Path(),
    help="begin with the weights of the trained run in this folder (its best checkpoint); network and "
    "vocabulary are those of that run, the optimizer starts afresh",
)

TASK = Option(
    name="task",
    rule=Choice(TASKS),
    default="echo",
    help="what is learnt; without it --data means text, or series for .csv and .parquet",
)
_WITH_LAGS = ("task", ("echo", "autoregression"))
_LANGUAGE = ("task", ("text", "words"))
_SERIES = ("task", ("series",))
_LABELS = ("task", ("labels",))
_TABLES = ("task", ("series", "labels"))
_FROM_FILES = ("task", ("text", "words", "series", "labels"))
TASK_OPTIONS = by_name(
    Option(
        name="lags",
        rule=ListOf(Whole()),
        only=_WITH_LAGS,
        help="steps back to what a target depends on (default 3 8)",
    ),
    Option(
        name="effects",
        rule=ListOf(Number()),
        only=_WITH_LAGS,
        help="effect of each lag on the probability (default 0.5 -0.25) or on the number (default 0.4 0.5)",
    ),
    Option(
        name="lag",
        rule=Whole(),
        only=("task", ("memory",)),
        help="steps back to the value to be recalled (default 20)",
    ),
    Option(
        name="delay",
        rule=Whole(),
        only=("task", ("copy",)),
        help="steps between the input and its recall (default 30)",
    ),
    Option(
        name="span", rule=Whole(at_least=2), only=("task", ("adding",)), help="sequence length (default 50)"
    ),
    Option(
        name="num_symbols",
        rule=Whole(at_least=2, at_most=LARGEST_SIZE // 2),  # inputs have up to twice as many classes
        only=("task", ("memory", "copy")),
        help="number of distinct symbols (default 8)",
    ),
    Option(
        name="num_recalled",
        rule=Whole(),
        only=("task", ("copy",)),
        help="symbols to be recalled (default 10)",
    ),
    Option(
        name="data",
        rule=OrNone(Text()),
        only=_FROM_FILES,
        may_change=True,
        help="of text: a file; a directory with train.txt, valid.txt and test.txt; or shakespeare or "
        "ptb, which are downloaded (default: the documentation that ships with Python). Of series and "
        "labels: a table, CSV or Parquet (default: hourly measurements at Kennedy Airport)",
    ),
    Option(
        name="encoding",
        rule=Encoding(),
        only=_FROM_FILES,
        may_change=True,
        help="encoding of the files, such as latin-1, cp1252 or utf-16 (default utf-8)",
    ),
    Option(
        name="valid_fraction",
        rule=FRACTION,
        only=_FROM_FILES,
        help="fraction of the file used for validation (default 0.05; tables 0.15)",
    ),
    Option(
        name="test_fraction",
        rule=FRACTION,
        only=_FROM_FILES,
        help="fraction of the file used for testing (default 0.05; tables 0.15)",
    ),
    Option(
        name="document_separator",
        rule=OrNone(EscapedText()),
        only=("task", ("text",)),
        help=r"the text that ends a document, such as '\n\n'; the next one starts from a state of zero "
        "(default: all is one document)",
    ),
    Option(
        name="vocabulary_size",
        rule=Whole(at_least=2),
        only=("task", ("words",)),
        help="vocabulary size; the rest become <unk> (default 10000)",
    ),
    Option(
        name="valid_from",
        rule=OrNone(Text()),
        only=_TABLES,
        help="first date of the validation part, instead of a fraction",
    ),
    Option(name="test_from", rule=OrNone(Text()), only=_TABLES, help="first date of the test part"),
    Option(
        name="target",
        rule=Names(),
        only=_SERIES,
        help="columns to predict (default: the only column of numbers)",
    ),
    Option(
        name="inputs",
        rule=Names(),
        only=_TABLES,
        help="further columns, observed up to now; of labels: all that are observed",
    ),
    Option(
        name="known", rule=Names(), only=_SERIES, help="columns known ahead, such as a holiday or a price"
    ),
    Option(name="static", rule=Names(), only=_TABLES, help="columns that never change within a series"),
    Option(
        name="time",
        rule=OrNone(Text()),
        only=_TABLES,
        help="column of dates, with or without a zone, or of numbers, increasing; missing rows of equal "
        "steps or of a calendar are filled in",
    ),
    Option(
        name="series_id",
        rule=OrNone(Text()),
        only=_TABLES,
        help="column that says which series a row belongs to, where there are several",
    ),
    Option(
        name="label",
        rule=OrNone(Text()),
        only=_LABELS,
        help="column of words or whole numbers, the class of each row",
    ),
    Option(
        name="label_at",
        rule=Choice(LABEL_AT),
        only=_LABELS,
        help="every: name the class of every row; end: that of the last row of each series, and split the "
        "data by series (default every)",
    ),
    Option(
        name="horizon",
        rule=Whole(at_most=LARGEST_WIDTH),
        only=_SERIES,
        help="steps ahead to predict at once (default 1)",
    ),
    Option(
        name="quantiles",
        rule=ListOf(FRACTION, distinct=True),
        only=_SERIES,
        help="predict these quantiles instead of the mean, such as 0.1 0.5 0.9",
    ),
    Option(
        name="calendar",
        rule=ListOf(Choice(CALENDAR)),
        only=_TABLES,
        help="read the next row's hour, weekday or month, as sine and cosine; of labels: the row's own",
    ),
    Option(
        name="difference",
        rule=Choice(DIFFERENCES),
        only=_SERIES,
        help="predict changes since the last row; auto: if the last value is a better guess than the mean "
        "(default auto)",
    ),
)

CELL_OPTIONS = by_name(
    Option(
        name="activation",
        rule=Choice(ACTIVATIONS),
        only=("cell", ("vanilla",)),
        help="activation function (default tanh)",
    ),
    Option(
        name="forget_bias",
        rule=Number(),
        only=("cell", ("lstm",)),
        help="initial bias of the forget gate (default 1)",
    ),
    Option(
        name="recurrent_init",
        rule=Choice(RECURRENT_INITS),
        help="initial recurrent weight matrix (default orthogonal)",
    ),
    Option(
        name="recurrent_gain", rule=POSITIVE, help="scale of the initial recurrent weight matrix (default 1)"
    ),
    Option(name="layer_norm", rule=Flag(), help="normalise the sums of each gate over its units"),
)

# What a network is and how a training step changes it, beside the options of the cell.
NETWORK_OPTIONS = by_name(
    Option(name="cell", rule=Choice(CELLS), default=SUITS_TASK, help="the recurrent cell"),
    Option(name="state_size", rule=SIZE, default=SUITS_TASK, help="units of a layer"),
    Option(name="num_layers", rule=Whole(at_most=MOST), default=1, help="layers stacked on each other"),
    Option(name="batch_size", rule=SIZE, default=SUITS_TASK, may_change=True, help="rows of a batch"),
    Option(name="optimizer", rule=Choice(OPTIMIZERS), default=SUITS_TASK, help="the optimizer"),
    Option(
        name="learning_rate",
        rule=POSITIVE,
        default=SUITS_TASK,
        may_change=True,
        help="learning rate of the optimizer",
    ),
    Option(
        name="clip_norm",
        rule=OrNone(POSITIVE),
        default=SUITS_TASK,
        may_change=True,
        help="upper limit of the gradient's norm, or off",
    ),
    Option(
        name="weight_decay",
        rule=Number(at_least=0),
        default=0.0,
        may_change=True,
        help="fraction of each weight matrix, times the learning rate, that every training step takes off",
    ),
    Option(
        name="reduction",
        rule=Choice(REDUCTIONS),
        default="mean",
        help="average or sum the per-step losses of a block",
    ),
    Option(
        name="embedding_size",
        rule=OrNone(SIZE),
        default=SUITS_TASK,
        help="size of a learnt input embedding, or off for one-hot inputs; words: the state size",
    ),
    Option(
        name="tied",
        rule=Flag(),
        default=False,
        help="share weights between embedding and output layer (sets --embedding-size to the state size)",
    ),
    Option(
        name="dropout",
        rule=Number(at_least=0, below=1),
        default=0.0,
        help="fraction of the connections between layers dropped in training",
    ),
    Option(
        name="init_scale",
        rule=OrNone(POSITIVE),
        help="draw initial weights uniformly from +-X, or off for what suits the cell",
    ),
    Option(
        name="initial_state",
        rule=Choice(INITIAL_STATES),
        default="zero",
        help="the state before the first step of a sequence: zero, or a vector that is learnt",
    ),
    Option(
        name="recompute",
        rule=OrNone(WordOrWhole(("sqrt",), "a whole number of steps", "K")),
        may_change=True,
        help="gradient checkpointing: store only every K-th state (or sqrt: about the square root of the "
        "length), or off",
    ),
    Option(
        name="precision",
        rule=Choice(PRECISIONS),
        default="float32",
        may_change=True,
        help="mixed_bfloat16: matrix products of bfloat16 operands in training, quicker where the processor "
        "has instructions for them; weights and all else stay float32",
    ),
    Option(
        name="style",
        rule=Choice(STYLES),
        default="block",
        help="truncation scheme; block is ordinary truncated BPTT",
    ),
    Option(
        name="stride",
        rule=Whole(),
        default=1,
        only=("style", ("sliding",)),
        help="steps the window moves between updates",
    ),
    Option(
        name="tolerance",
        rule=FRACTION,
        default=0.1,
        only=("style", ("adaptive",)),
        help="largest acceptable fraction of the gradient lost to truncation",
    ),
)

SETUP_OPTIONS = {"task": TASK} | TASK_OPTIONS | NETWORK_OPTIONS | CELL_OPTIONS
# What a graph's dtype has to hold: a larger number would be inf.
HELD_BY_DTYPE = ("learning_rate", "clip_norm", "weight_decay", "init_scale", "forget_bias", "recurrent_gain")

# The options of `UnrolledGraph` that have no part in a setup, since the task decides them.
GRAPH_OPTIONS = NETWORK_OPTIONS | by_name(
    Option(name="num_steps", rule=WIDTH, help="length of the unrolled graph"),
    Option(name="input_size", rule=SIZE, help="input classes or values; 0 where there are none"),
    Option(name="num_classes", rule=SIZE, help="target classes or values"),
    Option(name="input_kind", rule=Choice(INPUT_KINDS), default="classes", help="kind of the inputs"),
    Option(name="loss", rule=Choice(LOSSES), default="cross_entropy", help="loss of a step"),
    Option(
        name="quantiles",
        rule=OrNone(ListOf(FRACTION, distinct=True)),
        help="quantiles that a pinball loss is for",
    ),
    Option(name="readout", rule=Choice(READOUTS), default="linear", help="output layer"),
    Option(name="optimizer", rule=OrNone(Choice(OPTIMIZERS)), default="adagrad", help="the optimizer"),
    Option(name="dtype", rule=Choice(DTYPES), default="float32", help="type of weights and states"),
    Option(name="starts", rule=Flag(), default=False, help="whether sequences may start within a row"),
    Option(name="target_weights", rule=Flag(), default=False, help="whether targets count as much as is fed"),
    Option(name="seed", rule=OrNone(Whole(at_least=0)), help="seed of the initial weights"),
)

# --- how long and how to train ------------------------------------------------------------------------

LENGTH_OPTIONS = by_name(
    Option(
        name="epochs",
        rule=POSITIVE,
        may_change=True,
        help="passes over the training data (default 10; of small tables up to 100)",
    ),
    Option(name="tokens", rule=POSITIVE, may_change=True, help="time steps over all rows of a batch"),
    Option(name="updates", rule=POSITIVE, may_change=True, help="training steps"),
    Option(
        name="seconds", rule=POSITIVE, may_change=True, help="seconds of training, evaluation not counted"
    ),
)
PATIENCE = Option(
    name="patience",
    rule=OrNone(Whole()),
    may_change=True,
    help="stop early after N evaluations without improvement on validation data",
)
TRAINING_OPTIONS = by_name(
    Option(
        name="num_steps",
        rule=WIDTH,
        may_change=True,
        help="length of the unrolled graph (default: the longest that suits the task)",
    ),
    Option(
        name="schedule_width",
        rule=OrNone(GrowingWidth(at_most=LARGEST_WIDTH)),
        help="train with a graph that grows, an equal part of the training at each length; instead of "
        "--num-steps, style block only",
    ),
    Option(
        name="state",
        rule=Choice(STATES),
        default="carry",
        help="carry: keep the state between blocks (stateful); reset: start each block at zero",
    ),
    Option(name="schedule", rule=Choice(SCHEDULES), default="constant", help="schedule of the learning rate"),
    Option(
        name="decay",
        rule=FRACTION,
        default=0.5,
        help="step, plateau: factor of the learning rate",
    ),
    Option(
        name="decay_after",
        rule=OrNone(Whole()),
        help="step: epochs at the full rate (default 4); plateau: epochs to wait (default 1)",
    ),
    Option(
        name="warm_up_updates",
        rule=Whole(at_least=0),
        default=0,
        help="training steps over which the learning rate rises linearly to that of the schedule",
    ),
    Option(
        name="evaluations",
        rule=OrNone(Whole()),
        help="evaluations on validation data, evenly spread (default: one after each epoch)",
    ),
    SEED,
)
THREADS = Option(
    name="threads",
    rule=OrNone(Whole(at_most=MOST)),
    may_change=True,
    help="CPU threads (default: one per core); use 1 for bit-for-bit reproducible resume",
)

CLUSTER_OPTIONS = by_name(
    Option(
        name="cluster",
        rule=Text(),
        help='the workers that train together, {"worker": ["HOST:PORT", ...]} or a JSON file with it; each '
        "is started with the same options (default: what the variable TF_CONFIG says)",
    ),
    Option(name="task_type", rule=Choice(TASK_TYPES), help="what this process is in the cluster"),
    Option(
        name="task_index",
        rule=Whole(at_least=0),
        help="which of the workers this process is, from 0; worker 0 has the folder, evaluates and reports",
    ),
)
LAUNCH_OPTIONS = by_name(
    Option(
        name="workers", rule=Whole(at_most=MOST), default=2, help="processes, each with its share of the rows"
    ),
    Option(
        name="restarts",
        rule=Whole(at_least=0, at_most=MOST),
        default=3,
        help="how often all workers are started again from the last checkpoint after one was killed",
    ),
)

# --- the commands that measure ------------------------------------------------------------------------

SEEDS = Option(
    name="seeds",
    rule=Whole(at_most=MOST),
    default=3,
    help="how many networks (random initialisations) to train",
)
COMPARE_OPTIONS = by_name(
    TRAINING_OPTIONS["num_steps"].but(
        rule=Widths(at_most=LARGEST_WIDTH),
        help="lengths to compare, or ranges such as 5:50:5 and 1:64:log2 (default: those that suit the task)",
    ),
    TRAINING_OPTIONS["state"].but(rule=ListOf(Choice(STATES)), default=STATES),
    NETWORK_OPTIONS["learning_rate"].but(
        rule=ListOf(POSITIVE), help="learning rates; each length is judged at its best one"
    ),
    SEEDS.but(help="runs for each length, from different random initialisations"),
    Option(
        name="budget",
        rule=Choice(BUDGETS),
        default="tokens",
        help="unit of the budget that every run gets",
    ),
    Option(
        name="amount",
        rule=POSITIVE,
        help="how much of it, in the unit of --budget (default: the tokens that suit the task, 2000 updates, "
        "5 seconds or 5 epochs)",
    ),
)
RECOMMEND_OPTIONS = COMPARE_OPTIONS | by_name(
    COMPARE_OPTIONS["num_steps"].but(
        help="lengths to begin with, or ranges such as 1:64:log2; longer ones are added while the longest is "
        "among the best (default: those that suit the task)"
    ),
    TRAINING_OPTIONS["state"],
    COMPARE_OPTIONS["seeds"].but(default=2, help="runs for each length that stays in the race"),
    COMPARE_OPTIONS["amount"].but(
        help="training that the answer is for, in the unit of --budget; most runs are stopped much earlier "
        "(default: as for compare)"
    ),
    Option(
        name="verify",
        rule=Flag(),
        default=False,
        help="then train every length for the whole budget, as compare does, and report whether the answer "
        "holds",
    ),
)
LAGS_OPTIONS = by_name(
    TRAINING_OPTIONS["num_steps"].but(
        help="how far back to look; the network is trained at this length (default: what suits the task)"
    ),
    LENGTH_OPTIONS["tokens"].but(
        rule=Number(at_least=0),
        help="training length in time steps, 0 for none (default: a fifth of a run of compare)",
    ),
    TRAINING_OPTIONS["state"],
    Option(
        name="reference",
        rule=Choice(REFERENCES),
        default="widest",
        help="the gradient that truncated ones are compared with: widest, over --num-steps steps; infinite, "
        "over the whole past",
    ),
    Option(
        name="at",
        rule=OrNone(Whole(at_least=0)),
        help="position in the held-out data, from 0: show what the loss of this one prediction owes to each "
        "earlier input",
    ),
    SEED.but(help="seed of the initial weights"),
    THREADS,
)
# Of lags of a network that is trained already.
MODEL_OPTIONS = by_name(
    Option(
        name="model",
        rule=Path(),
        help="measure this trained network instead: a .keras file, a .npz or .safetensors file of PyTorch "
        "weights, the folder of a run or of an export; the data are those of --task and --data, or arrays "
        "inputs and targets in a .npz file as --data",
    ),
    Option(
        name="window",
        rule=OrNone(WIDTH),
        help="with --model, the width that it was trained at: say what that cut off",
    ),
)
MODEL_LAGS_OPTIONS = MODEL_OPTIONS | {
    name: (LAGS_OPTIONS | NETWORK_OPTIONS)[name] for name in ("num_steps", "reference", "at", "batch_size")
}
# Those of `train`, `compare`, `recommend` and `lags` that say what is done with a setup.
COMMAND_OPTIONS = {**LENGTH_OPTIONS, **TRAINING_OPTIONS, **RECOMMEND_OPTIONS, **LAGS_OPTIONS}
COMMAND_OPTIONS |= by_name(PATIENCE, START_FROM)
AUDIT_ACTIONS = by_name(
    Option(
        name="write",
        rule=NpzFile(),
        help="write probes to this new file: inputs, weights (1 at the step that has the loss) and targets, "
        "a row for each run of the loop",
    ),
    Option(
        name="read",
        rule=NpzFile(),
        help="read a result: all that is in the file of the probes, and gradient and output, a number for "
        "each row: dL/dw of the recurrent weight, and the output of the step that has the loss",
    ),
    Option(
        name="export_echo",
        rule=NpzFile(),
        help="write the data of the echo task to this new file, with the lowest loss of each width",
    ),
    Option(
        name="read_loss",
        rule=POSITIVE,
        help="held-out loss of the echo task in nats at which a loop ends: say how wide it really is",
    ),
)
AUDIT_OPTIONS = by_name(
    Option(
        name="num_steps",
        rule=Whole(at_least=3, at_most=LARGEST_PROBE),
        default=20,
        help="write: steps of the probes",
    ),
    Option(
        name="dtype",
        rule=Choice(DTYPES),
        default="float32",
        help="write: type of the network that is probed",
    ),
    Option(
        name="asked",
        rule=OrNone(WIDTH),
        help="read: steps over which the loop is meant to backpropagate (k2)",
    ),
    Option(name="asked_stride", rule=OrNone(WIDTH), help="read: steps between updates that are meant (k1)"),
    Option(
        name="loss_scale",
        rule=Number(),
        default=1.0,
        help="read: derivative of the loss with respect to the output, 1/n where it is a mean over n",
    ),
)
FOLDERS = Option(
    name="folders",
    rule=ListOf(Path()),
    help="two folders of finished comparisons, to compare with each other; nothing is trained",
)
CONFIG_FILE = Option(
    name="config",
    rule=OptionFile(),
    help="read options from this TOML file, such as the run.toml beside every result; options on the command "
    "line override it",
)
WORKER_OPTIONS = by_name(
    Option(
        name="workers",
        rule=OrNone(Whole(at_most=MOST)),
        help="parallel processes (default: one per CPU core)",
    ),
    Option(
        name="scheduler",
        rule=Scheduler(),
        default="local",
        help="local for processes on this machine, or tcp://HOST:PORT of a Dask scheduler "
        '(pip install "tf-rnn[cluster]"); costs are measured on this machine',
    ),
)
TENSORBOARD = Option(
    name="tensorboard",
    rule=Flag(),
    default=False,
    help="also write a row of TensorBoard's HPARAMS tab and a learning curve for each run; needs the package "
    "tensorboard",
)
DRY_RUN = Option(
    name="dry_run",
    rule=Flag(),
    default=False,
    help="measure costs, print the runs and about how long they take; train nothing, write nothing",
)

# --- the commands that use a trained model ------------------------------------------------------------

FOLDER = Option(name="folder", rule=Path(), help="folder of a training run")
ONNX = Option(
    name="onnx",
    rule=Flag(),
    default=False,
    help="also write model.onnx, for ONNX runtimes; needs the package onnx",
)
CHECKPOINT = Option(
    name="checkpoint",
    rule=WordOrWhole(CHECKPOINTS_TO_USE, "the number of a checkpoint", "{best,last,N}"),
    default="best",
    help="the checkpoint with the lowest validation loss, the last one, or the one with this number",
)
EVALUATE_OPTIONS = by_name(
    Option(name="data", rule=Text(), help="other data in the same vocabulary (default: those of the run)"),
    TASK_OPTIONS["encoding"].but(
        only=None, help="encoding of --data, such as latin-1, cp1252 or utf-16 (default utf-8)"
    ),
    Option(
        name="split", rule=Choice(SPLITS), help="part of the data (default valid; all of the data of --data)"
    ),
    Option(name="num_steps", rule=WIDTH, default=50, help="chunk size for evaluation; affects speed only"),
    Option(
        name="batch_size",
        rule=SIZE,
        default=1,
        help="split the data into N parallel rows: faster, slightly pessimistic because each row starts "
        "without context",
    ),
    Option(
        name="context",
        rule=OrNone(Whole()),
        help="reset the state every N steps, to measure the value of longer context",
    ),
    Option(name="json", rule=Flag(), default=False, help="print one line of JSON"),
)
FORECAST_OPTIONS = by_name(
    Option(name="data", rule=Text(), help="other measurements with the same columns (default: the run's)"),
    EVALUATE_OPTIONS["encoding"],
    TASK_OPTIONS["horizon"].but(
        only=None,
        help="steps ahead; beyond those that were trained, predictions are fed back (default: those)",
    ),
    Option(
        name="hold_back",
        rule=Whole(at_least=0),
        default=0,
        help="forecast without the last N rows that have a target, and put them beside it",
    ),
    OUT.but(help="new file for the forecast; a picture and a page are put beside it (default: forecast.csv)"),
)
LABEL_OPTIONS = by_name(
    Option(name="data", rule=Text(), help="other data with the same inputs (default: the run's)"),
    EVALUATE_OPTIONS["encoding"],
    OUT.but(help="new CSV file for the labels and their probabilities (default: labels.csv)"),
)
SAMPLE_OPTIONS = by_name(
    Option(name="prime", rule=Text(), default="", help="text to start from (default: a line start)"),
    Option(name="length", rule=Whole(at_least=0), default=500, help="tokens to sample"),
    Option(
        name="temperature",
        rule=Number(at_least=0),
        default=0.8,
        help="1: sample from the model; below 1: more conservative; 0: greedy",
    ),
    Option(
        name="top_k",
        rule=Whole(at_least=0),
        default=0,
        help="sample from the N most likely tokens only; 0: all",
    ),
    Option(
        name="until",
        rule=Text(),
        help="stop once the sampled text contains this, after at most --length tokens",
    ),
    SEED.but(rule=OrNone(Whole(at_least=0)), default=None, help="seed of the sample (default: random)"),
)
