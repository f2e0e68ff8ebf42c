"""Headers that let a load in come from the environment, and are never repeated."""

import pytest
from fairtrial_loadtests.credentials import headers_for
from fairtrial_loadtests.errors import BadLoadError


def test_an_arms_own_headers_beat_those_of_all() -> None:
    environ = {
        "FAIRTRIAL_HEADERS": "Authorization: Bearer all\n\nX-Team: a:b",
        "FAIRTRIAL_HEADERS_V2_NEXT": "authorization: Bearer next",
    }
    assert headers_for("v1", environ) == {"Authorization": "Bearer all", "X-Team": "a:b"}
    assert headers_for("v2-next", environ) == {"X-Team": "a:b", "authorization": "Bearer next"}
    assert headers_for("v1", {}) == {}


@pytest.mark.parametrize("said", ["secret", "A secret: b", "X: secr\u00e9t", ": secret"])
def test_what_is_no_header_is_told_without_what_may_be_secret(said: str) -> None:
    with pytest.raises(BadLoadError, match="FAIRTRIAL_HEADERS_V1 is not lines") as raised:
        headers_for("v1", {"FAIRTRIAL_HEADERS_V1": said})
    assert "secr" not in str(raised.value)
