"""The model formats that Fairtrial serves: how each is recognised, and which runtime serves it.

A new format is one entry here, one module with its runtime, and one extra in pyproject.toml.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fairtrial_servers.errors import ModelError

#: Suffixes of the files that hold a pickled or skops estimator.
SKLEARN_SUFFIXES = (".joblib", ".pkl", ".pickle", ".skops")
ONNX_SUFFIXES = (".onnx",)
PYTORCH_SUFFIXES = (".pt", ".pt2", ".pth")
TENSORFLOW_SUFFIXES = (".pb",)
KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")
#: The file that describes an MLflow model, in the model's folder.
MLMODEL = "MLmodel"
PMML_SUFFIXES = (".pmml",)
MLEAP_SUFFIXES = (".zip",)
#: The file that describes an MLeap bundle, in the bundle's folder.
MLEAP_BUNDLE = "bundle.json"


def files_with(path: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The file itself, or the files directly in a folder, that end in one of `suffixes`; sorted."""
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.is_file() and file.suffix.lower() in suffixes)
    return [path] if path.suffix.lower() in suffixes else []


def one_file(path: Path, suffixes: tuple[str, ...]) -> Path:
    """The model file at `path`; in a folder `model.*` comes first. Raises ModelError unless it is one."""
    found = files_with(path, suffixes)
    if len(found) > 1:
        found = [file for file in found if file.stem == "model"] or found
    if len(found) != 1:
        what = ", ".join(file.name for file in found) if found else "none"
        raise ModelError(f"expected one file that ends in {', '.join(suffixes)} at {path}, found {what}")
    return found[0]


@dataclass(frozen=True)
class Format:
    name: str  # what `format:` says in an experiment
    implementation: str  # the MLServer runtime, as MLServer wants it named
    servers: tuple[str, ...]  # what `implementation:` says in a SeldonDeployment; ours first
    looks_for: str  # in words, for the message when nothing matches
    detects: Callable[[Path], bool]  # of a file or a folder that exists
    needs: tuple[str, ...] = ()  # modules that come with the extra of the format's name
    model: str = ""  # the class that loads it and predicts, where that needs no MLServer
    guarded: bool = False  # its runtime checks all that it reads while it reads it; gate.py checks the others


FORMATS: tuple[Format, ...] = (
    # First, for its folder also holds a file of another format.
    Format(
        name="mlflow",
        implementation="fairtrial_servers.mlflow.MLflowRuntime",
        servers=("FAIRTRIAL_MLFLOW_SERVER", "MLFLOW_SERVER"),
        guarded=True,
        looks_for=f"a folder with a file {MLMODEL}",
        detects=lambda path: (path / MLMODEL).is_file(),
    ),
    Format(
        name="sklearn",
        implementation="fairtrial_servers.sklearn.SKLearnRuntime",
        model="fairtrial_servers.estimators.Estimator",
        servers=("FAIRTRIAL_SKLEARN_SERVER", "SKLEARN_SERVER"),
        guarded=True,
        looks_for=f"a file that ends in {', '.join(SKLEARN_SUFFIXES)}",
        detects=lambda path: bool(files_with(path, SKLEARN_SUFFIXES)),
    ),
    Format(
        name="onnx",
        implementation="fairtrial_servers.onnx.OnnxRuntime",
        servers=("FAIRTRIAL_ONNX_SERVER",),
        guarded=True,
        looks_for="a file that ends in .onnx",
        detects=lambda path: bool(files_with(path, ONNX_SUFFIXES)),
        needs=("onnx", "onnxruntime"),
    ),
    Format(
        name="mleap",
        implementation="fairtrial_servers.mleap.MleapRuntime",
        servers=("FAIRTRIAL_MLEAP_SERVER",),
        guarded=True,
        looks_for=f"an MLeap bundle: a file that ends in .zip, or a folder with a file {MLEAP_BUNDLE}",
        detects=lambda path: (path / MLEAP_BUNDLE).is_file() or bool(files_with(path, MLEAP_SUFFIXES)),
        needs=("jgo", "jpype"),
    ),
    Format(
        name="pmml",
        implementation="fairtrial_servers.pmml.PmmlRuntime",
        servers=("FAIRTRIAL_PMML_SERVER",),
        guarded=True,
        looks_for="a file that ends in .pmml",
        detects=lambda path: bool(files_with(path, PMML_SUFFIXES)),
        needs=("jpype", "pypmml"),
    ),
    Format(
        name="pytorch",
        implementation="fairtrial_servers.pytorch.PyTorchRuntime",
        servers=("FAIRTRIAL_PYTORCH_SERVER",),
        guarded=True,
        looks_for=f"a file that ends in {', '.join(PYTORCH_SUFFIXES)}",
        detects=lambda path: bool(files_with(path, PYTORCH_SUFFIXES)),
        needs=("torch",),
    ),
    Format(
        name="tensorflow",
        implementation="fairtrial_servers.tensorflow.TensorFlowRuntime",
        servers=("FAIRTRIAL_TENSORFLOW_SERVER",),
        guarded=True,
        looks_for="a folder with a file saved_model.pb, or a file that ends in .pb",
        detects=lambda path: bool(files_with(path, TENSORFLOW_SUFFIXES)),
        needs=("tensorflow",),
    ),
    Format(
        name="keras",
        implementation="fairtrial_servers.keras.KerasRuntime",
        servers=("FAIRTRIAL_KERAS_SERVER",),
        guarded=True,
        looks_for=f"a file that ends in {', '.join(KERAS_SUFFIXES)}",
        detects=lambda path: bool(files_with(path, KERAS_SUFFIXES)),
        needs=("keras", "h5py"),
    ),
)


def detect(path: Path) -> Format:
    """The format of the model at `path`, a file or a folder.

    Raises ModelError, which says what was looked for and what is there.
    """
    if not path.exists():
        raise ModelError(f"there is no model at {path}: neither a file nor a folder")
    for known in FORMATS:
        if known.detects(path):
            return known
    looked = "; ".join(f"{known.looks_for} ({known.name})" for known in FORMATS)
    raise ModelError(f"{path} is of no known model format: looked for {looked}, found {_listing(path)}")


def _listing(path: Path, most: int = 8) -> str:
    if path.is_file():
        return path.name
    names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in path.iterdir())
    if not names:
        return "an empty folder"
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
