"""Models from elsewhere: nothing of theirs is run, and nothing is allocated because they say so."""

from __future__ import annotations

import json
import shutil
import zipfile
from typing import TYPE_CHECKING, Any

import h5py  # type: ignore[import-untyped]
import numpy as np
import pytest
from model_helpers import checkpoints, keep_run, write_splits

from tf_rnn._tensorflow import tf
from tf_rnn.cells import LSTMCell
from tf_rnn.graph.naming import weight_names
from tf_rnn.inference import export, import_keras, load
from tf_rnn.inference.keras_archive import least_weights, model_of_config
from tf_rnn.options import OptionError
from tf_rnn.tasks import Text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HUGE = 2**31 - 1


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("foreign")
    keep_run(place / "run", Text(write_splits(place / "texts")), LSTMCell(4))
    export(load(place / "run"), place / "exported")
    return place / "run"


@pytest.fixture
def exported(run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(run.parent / "exported", tmp_path / "exported")


def change_archive(exported: Path, change: Callable[[dict[str, Any]], None], **how: Any) -> None:
    """Changes the configuration within `model.keras`."""
    path = exported / "model.keras"
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(content["config.json"])
    change(config)
    with zipfile.ZipFile(path, "w", **how) as archive:
        for name, data in (content | {"config.json": json.dumps(config).encode()}).items():
            archive.writestr(name, data)


def layers(config: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = config["config"]["layers"]
    return found


PROGRAM: dict[str, Any] = {
    "module": "keras.layers",
    "class_name": "Lambda",
    "config": {},
    "registered_name": None,
}
LAYERS: dict[str, dict[str, Any]] = {
    "TFSMLayer": {"class_name": "TFSMLayer", "config": {"filepath": "saved_model", "name": "readout"}},
    "Lambda": {"class_name": "Lambda"},
    "of another module": {"module": "os", "class_name": "LSTM"},
    "a registered one": {"registered_name": "Mine>LSTM"},
    "a model": {"class_name": "Functional", "module": "keras.src.models.functional"},
}


@pytest.mark.parametrize("case", LAYERS)
def test_a_layer_that_is_not_on_the_list_is_refused(case: str, exported: Path, tmp_path: Path) -> None:
    change_archive(exported, lambda config: layers(config)[-1].update(LAYERS[case]))
    with pytest.raises(OptionError, match=r"model\.keras' is not: the layer '\w+' is none of ActivityReg"):
        import_keras(exported, tmp_path / "back")
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("option", ["activation", "name", "units", "batch_shape"])
def test_an_option_that_is_an_object_is_refused(option: str, exported: Path, tmp_path: Path) -> None:
    values: list[Any] = [PROGRAM, [PROGRAM]]
    for value in values:
        change = {option: value}
        change_archive(exported, lambda config: layers(config)[-1]["config"].update(change))  # noqa: B023
        with pytest.raises(OptionError, match=rf"not: Dense has an option '{option}' that is more than a "):
            import_keras(exported, tmp_path / "back")


def test_an_input_that_is_an_object_is_refused(exported: Path, tmp_path: Path) -> None:
    change_archive(
        exported, lambda config: layers(config)[-1]["inbound_nodes"][0]["kwargs"].update(x=PROGRAM)
    )
    with pytest.raises(OptionError, match="not: Dense has an option 'inbound_nodes' that is more than a "):
        import_keras(exported, tmp_path / "back")


def test_initializers_and_the_like_are_not_made(exported: Path, tmp_path: Path) -> None:
    """They would be called with sizes; the weights replace what they make."""
    program = PROGRAM | {"class_name": "Nothing"}
    change_archive(exported, lambda config: layers(config)[-1]["config"].update(kernel_initializer=program))
    assert load(import_keras(exported, tmp_path / "back")).weights


@pytest.mark.parametrize("option", ["units", "batch_shape"])
def test_a_size_beyond_the_described_is_refused_before_it_is_made(
    option: str, exported: Path, tmp_path: Path
) -> None:
    value, place = (HUGE, -1) if option == "units" else ([100_000, 100_000], 0)
    change_archive(exported, lambda config: layers(config)[place]["config"].update({option: value}))
    with pytest.raises(OptionError, match=r"the layer Dense has |its inputs are too many"):
        import_keras(exported, tmp_path / "back")


def compressed_weights(exported: Path) -> None:
    path = exported / "model.weights.h5"
    (exported / "model.keras").unlink()
    with h5py.File(path, "r+") as file:
        file.create_dataset("zeros", (1 << 40,), np.float32, chunks=(1 << 20,), compression="gzip")


def bomb(exported: Path) -> None:
    """An archive whose content is a thousand times as large."""
    with zipfile.ZipFile(exported / "model.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", bytes(10_000_000))


def huge_description(exported: Path) -> None:
    config = json.loads((exported / "config.json").read_text(encoding="utf-8"))
    config["cell"][0]["state_size"] = HUGE
    (exported / "config.json").write_text(json.dumps(config), encoding="utf-8")


def huge_description_of_weights(exported: Path) -> None:
    (exported / "model.keras").unlink()
    huge_description(exported)


BOUNDS: dict[Any, str] = {
    compressed_weights: "its weights are not stored in full in this file",
    bomb: r"its model\.weights\.h5 is too large",
    huge_description: r"it has \d+ numbers, the network described has at least 18,446,",
    huge_description_of_weights: r"it has \d+ numbers, the network described has at least 18,446,",
}


@pytest.mark.parametrize("change", BOUNDS)
def test_nothing_is_allocated_that_a_file_only_claims(
    change: Callable[[Path], None], exported: Path, tmp_path: Path
) -> None:
    change(exported)
    with pytest.raises(OptionError, match=f"is not: {BOUNDS[change]}"):
        import_keras(exported, tmp_path / "back")


def test_the_least_number_of_weights(run: Path) -> None:
    model = load(run)
    matrices = [value.size for name, value in model.weights.items() if value.ndim > 1]
    assert least_weights(model.description) == sum(matrices)


def test_what_is_no_model_is_refused() -> None:
    for config in (
        {},
        {"class_name": "LSTM", "config": {"layers": []}},
        {"class_name": "Model", "config": []},
    ):
        with pytest.raises(ValueError, match="not a model of layers"):
            model_of_config(config, 5)


def test_loading_draws_no_weights(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No session runs the initializer of a weight but with a given value."""
    run_session, ran = tf.Session.run, []

    def watched(session: Any, fetches: Any, feed_dict: Any = None, **more: Any) -> Any:
        ran.append((fetches, feed_dict))
        return run_session(session, fetches, feed_dict, **more)

    monkeypatch.setattr(tf.Session, "run", watched)
    model = load(run)
    model.evaluator("valid")
    initializers = {variable.initializer.name for variable in weight_names(model.graph).values()}
    drawn = [
        op.name
        for fetches, fed in ran
        if not fed
        for op in tf.nest.flatten(fetches)
        if getattr(op, "name", "") in initializers
    ]
    assert (drawn, len(initializers)) == ([], 4)


def test_a_checkpoint_of_other_shapes_is_refused_before_anything_is_made(run: Path, tmp_path: Path) -> None:
    """Before a weight is drawn."""
    folder = shutil.copytree(run, tmp_path / "run")
    for path in checkpoints(folder):
        with np.load(path) as saved:
            arrays = dict(saved)
        config = json.loads(arrays["config"].tobytes())
        config["cell"][0]["state_size"] = 3000
        arrays["config"] = np.frombuffer(json.dumps(config).encode(), np.uint8)
        np.savez(path, **arrays)
    with pytest.raises(OptionError, match=r"^folder must hold the variables of its configuration: "):
        load(folder)
