"""What a packed image makes of the environment that Seldon's operator or a person gives it."""

from __future__ import annotations

import json
import shutil

import pytest
from fairtrial_servers import container
from fairtrial_servers.errors import ModelError, ServerError

OURS = "fairtrial_servers.sklearn.SKLearnRuntime"


@pytest.fixture
def image(digits_file) -> dict[str, str]:
    return {
        "FAIRTRIAL_MODEL_NAME": "digits",
        "FAIRTRIAL_MODEL_PATH": str(digits_file),
        "FAIRTRIAL_MODEL_IMPLEMENTATION": OURS,
        "FAIRTRIAL_MODEL_PARAMETERS": json.dumps({"predict_fn": "predict_proba", "trusted": "mine"}),
    }


def test_by_itself_the_image_serves_its_model_on_seldons_ports(image, digits_file):
    server, model = container.settings(image)
    assert (server["http_port"], server["grpc_port"], server["metrics_port"]) == (9000, 9500, 6000)
    assert server["host"] == "0.0.0.0"
    assert server["debug"] is False
    assert (model["name"], model["implementation"]) == ("digits", OURS)
    assert model["parameters"]["uri"] == str(digits_file)


def test_the_operators_names_ports_and_parameters_come_first(image):
    server, model = container.settings(
        {
            **image,
            "MLSERVER_HTTP_PORT": "9001",
            "PREDICTIVE_UNIT_GRPC_SERVICE_PORT": "9502",
            "MLSERVER_MODEL_NAME": "classifier",
            "MLSERVER_MODEL_URI": "/mnt/models",
            "PREDICTIVE_UNIT_PARAMETERS": '[{"name": "predict_fn", "value": "predict", "type": "STRING"}]',
        }
    )
    assert (server["http_port"], server["grpc_port"]) == (9001, 9502)
    assert model["name"] == "classifier"
    assert model["parameters"]["uri"] == image["FAIRTRIAL_MODEL_PATH"]  # nothing is mounted
    assert model["parameters"]["extra"] == {"predict_fn": "predict", "trusted": "mine"}


@pytest.mark.parametrize("named", ["", "mlserver_sklearn.SKLearnModel", "FAIRTRIAL_SKLEARN_SERVER"])
def test_a_mounted_model_is_served_by_its_own_format_and_without_the_images_parameters(
    image, digits_file, tmp_path, named
):
    shutil.copy(digits_file, tmp_path / "model.joblib")
    _, model = container.settings(
        {**image, "MLSERVER_MODEL_URI": str(tmp_path), "MLSERVER_MODEL_IMPLEMENTATION": named}
    )
    assert model["implementation"] == OURS
    assert model["parameters"] == {"uri": str(tmp_path), "extra": {}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"MLSERVER_HTTP_PORT": "http"}, "MLSERVER_HTTP_PORT is 'http'"),
        ({"PREDICTIVE_UNIT_PARAMETERS": "{"}, "PREDICTIVE_UNIT_PARAMETERS must hold a list"),
        ({"FAIRTRIAL_MODEL_PARAMETERS": "[]"}, "FAIRTRIAL_MODEL_PARAMETERS must hold"),
    ],
)
def test_settings_that_are_wrong_are_said_so(image, change, said):
    with pytest.raises(ServerError, match=said):
        container.settings({**image, **change})


def test_no_model_anywhere_is_said_so(image, tmp_path):
    with pytest.raises(ModelError, match="there is no model at /mnt/models, and none in this image"):
        container.settings({})
    with pytest.raises(ModelError, match="there is no model at /srv/nothing"):
        container.settings({**image, "MLSERVER_MODEL_URI": "/srv/nothing"})
