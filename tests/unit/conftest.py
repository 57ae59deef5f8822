"""What the unit tests share: the fuzz targets run beside them, where a second CPU has little to do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from fuzz.campaign import TARGETS, Campaign


@pytest.fixture(scope="session", autouse=True)
def fuzzed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign | None]:
    """Begin the targets that any test wants with the first test of this folder."""
    wanted = {
        item.callspec.params["target"]
        for item in request.session.items
        if getattr(item, "originalname", "") == "test_fuzz_target_finds_nothing"
    }
    if not wanted or any(shutil.which(program) is None for program in ("make", "clang", "setpriv")):
        yield None
        return
    campaign = Campaign(tmp_path_factory.mktemp("fuzz"), [target for target in TARGETS if target in wanted])
    yield campaign
    campaign.close()
