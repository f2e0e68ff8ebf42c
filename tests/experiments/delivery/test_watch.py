"""What the watch does about each kind of event, over MLflow's own store.

The trial itself and the servers of a version are tested with real ones in `test_story`.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import joblib
import pytest
from experiments.clocks import StoppedClock
from experiments.delivery.conftest import EXPERIMENT, OLD_SQL, Models
from experiments.delivery.logs import taken
from experiments.delivery.watches import Watched, pipeline_of
from fairtrial.delivery import course
from fairtrial.delivery.anchoring import check_anchors
from fairtrial.delivery.events import Event, Happening
from fairtrial.delivery.inbox import Inbox
from fairtrial.delivery.ledger import Action
from fairtrial.delivery.means import Means
from fairtrial.delivery.pinning import Pinned
from fairtrial.delivery.reacting import handle
from fairtrial.delivery.steps import Steps
from fairtrial.errors import AbortedError, NotReadyError, UnsafeModelError
from fairtrial.registry.mlflow import MlflowRegistry
from servers.safety.hostile import Touch

pytestmark = OLD_SQL

DEGRADED = {"name": "degraded", "alert": {"match": {"alertname": "ModelDegraded"}}}
LISTEN = {"port": 0}


@pytest.fixture
def folder(wine: Models, tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(wine.trained / "holdout.parquet", folder)
    (folder / "experiment.yaml").write_text(EXPERIMENT.replace("MODEL", "wine"))
    return folder


@pytest.fixture
def watching(wine: Models, folder: Path) -> Iterator[Callable[..., Watched]]:
    made: list[Watched] = []

    def make(clock: StoppedClock | None = None, **spec: object) -> Watched:
        made.append(Watched(pipeline_of(folder, wine.url, **spec), clock))
        return made[-1]

    yield make
    for each in made:
        each.state.close()


def adopted(wine: Models, watched: Watched, count: int) -> None:
    """This many versions, each given the champion's alias by hand in turn."""
    for _ in range(count):
        wine.give("champion", wine.add("v1"))
        watched.once()
        watched.clock.sleep(60)


def told(watched: Watched, trigger: str, happening: Happening = Happening.ALERT, **body: object) -> str:
    number = len(Inbox(watched.state).all()) + 1
    key = f"{trigger}:{number}"
    Inbox(watched.state).put([Event(key, happening, trigger, watched.clock.now(), body)])
    return key


class TestTheRegistrysVersions:
    def test_the_first_one_is_in_service_without_a_trial(self, wine: Models, watching) -> None:
        watched = watching()
        assert watched.once() == []
        wine.give("challenger", wine.add("v1"))
        (entry,) = watched.once()
        assert watched.history == [("promoted", "1", None)]
        assert entry.why == "there was none in service to compare it with"
        assert entry.by.startswith("challenger (")
        assert entry.evidence["digest"].startswith("sha256:")
        assert (watched.service.served, wine.holder("champion")) == (["1"], "1")
        tags = wine.tags("1")
        assert tags["fairtrial.outcome"] == "promoted"
        assert tags["fairtrial.ledger"] == f"1:{entry.hash}"
        assert check_anchors(watched.entries, MlflowRegistry("wine", "champion", wine.url)) == 1
        assert watched.once() == []

    def test_the_champion_itself_is_not_tried(self, wine: Models, watching) -> None:
        watched = watching()
        adopted(wine, watched, 1)
        wine.give("challenger", "1")
        (entry,) = watched.once()
        assert (entry.action, entry.version) == (Action.NOTED, "1")
        assert entry.why == "version 1 is in service already"
        assert watched.service.served == ["1"]

    def test_a_version_that_runs_code_is_refused_and_never_served(
        self, wine: Models, watching, tmp_path: Path
    ) -> None:
        marker, model = tmp_path / "it ran", tmp_path / "hostile"
        model.mkdir()
        joblib.dump(Touch(marker), model / "model.joblib")
        watched = watching()
        adopted(wine, watched, 1)
        version = _registered(wine, model)
        wine.give("challenger", version)
        (entry,) = watched.once()
        assert watched.history[-1] == ("refused", "2", "1")
        assert entry.why.startswith("version 2 is not safe to serve: ")
        assert watched.service.served == ["1"]
        assert wine.holder("champion") == "1"
        assert wine.tags("2")["fairtrial.outcome"] == "refused"
        assert not marker.exists()

    def test_one_whose_files_changed_while_it_was_delivered_is_refused(
        self, wine: Models, watching, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        watched = watching()
        wine.give("challenger", wine.add("v1"))
        watched.service.error = NotReadyError("no memory")
        watched.watch._poller.poll(Inbox(watched.state), at_once=True)
        watched.work()  # it is fetched, and its digest kept; then it does not get ready
        assert watched.history == []
        for file in (tmp_path / "artifacts").rglob("model.joblib"):
            file.write_bytes(file.read_bytes() + b"\0")
        monkeypatch.setenv("FAIRTRIAL_CACHE", str(tmp_path / "of another machine"))
        again = watching(watched.clock)
        (entry,) = again.once()
        assert (entry.action, entry.version) == (Action.REFUSED, "1")
        assert "has other files than when this delivery began" in entry.why
        assert again.service.served == []

    def test_one_that_does_not_get_ready_is_tried_again_later_and_later(self, wine: Models, watching) -> None:
        watched = watching()
        wine.give("challenger", wine.add("v1"))
        watched.service.error = NotReadyError("no memory")
        watched.watch._poller.poll(Inbox(watched.state), at_once=True)
        begun = watched.clock.now()
        for _ in range(100):
            watched.work()
            watched.clock.sleep(1)
        again = [line for line in watched.said if "tried again" in line]
        assert [line.rpartition(" in ")[2] for line in again] == [f"{n} s" for n in (2, 4, 8, 16, 32, 64)]
        watched.service.error = None
        watched.clock.time = begun + 130
        assert [entry.action for entry in watched.work()] == [Action.PROMOTED]

    def test_one_that_is_gone_from_the_registry_is_given_up(self, wine: Models, watching) -> None:
        watched = watching()
        wine.give("challenger", wine.add("v1"))
        watched.watch._poller.poll(Inbox(watched.state), at_once=True)
        wine.client.delete_model_version("wine", "1")
        (entry,) = watched.work()
        assert (entry.action, entry.why) == (
            Action.FAILED,
            "the registry has no version 1 of wine; it has none",
        )
        assert Inbox(watched.state).waiting() == []

    def test_a_broken_experiment_is_one_entry_that_says_where(
        self, wine: Models, watching, folder: Path
    ) -> None:
        watched = watching()
        wine.give("challenger", wine.add("v1"))
        (folder / "experiment.yaml").write_text("kind: Experiment\nspec: [")
        (entry,) = watched.once()
        assert (entry.action, entry.version) == (Action.FAILED, "1")
        assert "experiment.yaml:2:8" in entry.why
        assert watched.once() == []


class TestTheAliasMovedByHand:
    def test_it_is_adopted(self, wine: Models, watching) -> None:
        watched = watching()
        adopted(wine, watched, 2)
        assert watched.history == [("adopted", "1", None), ("adopted", "2", "1")]
        assert watched.service.served == ["1", "2"]
        assert watched.entries[1].why == (
            "it had the alias champion when the watch looked; it was given by somebody else"
        )
        assert wine.tags("2")["fairtrial.ledger"] == f"2:{watched.entries[1].hash}"

    def test_to_a_version_that_will_not_do_is_said_once_and_to_a_better_one_is_adopted(
        self, wine: Models, watching, folder: Path
    ) -> None:
        watched = watching()
        adopted(wine, watched, 1)
        wine.give("champion", wine.add("v1"))
        watched.service.error = UnsafeModelError("it runs code")
        assert [entry.action for entry in watched.once()] == [Action.FAILED]
        for _ in range(3):
            watched.clock.sleep(31)
            assert watched.once() == []
        watched.service.error = None
        wine.give("champion", wine.add("v1"))
        assert [entry.version for entry in watched.once()] == ["3"]

    def test_while_the_watch_runs_it_looks_every_half_minute(self, wine: Models, watching) -> None:
        watched = watching()
        adopted(wine, watched, 1)
        wine.give("champion", wine.add("v1"))
        watched.clock.sleep(31)
        watched.work()  # it looks, and makes an event of it
        assert [entry.version for entry in watched.work()] == ["2"]


class TestRollingBack:
    def spec(self, *do: str) -> dict[str, object]:
        return {"triggers": [DEGRADED | {"do": list(do)}], "listen": LISTEN}

    def test_it_returns_to_the_last_good_version_each_time_until_there_is_none(
        self, wine: Models, watching
    ) -> None:
        watched = watching(**self.spec("rollBack"))
        adopted(wine, watched, 3)
        for _ in range(3):
            told(watched, "degraded", summary="accuracy fell")
            watched.once()
        assert watched.history[3:] == [
            ("rolledBack", "2", "3"),
            ("rolledBack", "1", "2"),
            ("noted", "1", "1"),
        ]
        assert watched.entries[3].why == "degraded: accuracy fell"
        assert watched.entries[5].why == (
            "degraded: accuracy fell; there is no earlier good version of wine to return to; the history has "
            "only 1"
        )
        assert watched.service.served == ["1", "2", "3", "2", "1"]
        assert wine.holder("champion") == "1"
        assert wine.tags("3")["fairtrial.outcome"] == "rolledBack"

    def test_the_same_event_again_is_the_same_entry(self, wine: Models, watching) -> None:
        watched = watching(**self.spec("rollBack"))
        adopted(wine, watched, 3)
        key = told(watched, "degraded")
        event = Inbox(watched.state).get(key)
        assert event is not None
        for _ in range(2):  # as a process does that died before it had written that it was done
            handle(watched.means, event, lambda: False)
        assert watched.history[3:] == [("rolledBack", "2", "3")]

    def test_all_that_is_named_is_done_in_order(self, wine: Models, watching, folder: Path) -> None:
        command = {"command": {"run": ["sh", "-c", "cat > told.json"]}}
        watched = watching(retrain=command, **self.spec("rollBack", "retrain", "tryNext"))
        adopted(wine, watched, 2)
        newest = wine.add("v2")
        key = told(watched, "degraded", summary="accuracy fell")
        event = Inbox(watched.state).get(key)
        assert event is not None
        handle(watched.means, event, lambda: False)
        assert watched.history[2:] == [("rolledBack", "1", "2"), ("retraining", "1", "1")]
        assert "retraining: sh ended well" in watched.entries[3].why
        assert f'"key": "{key}"' in (folder / "told.json").read_text()
        assert [each.event.body["version"] for each in Inbox(watched.state).waiting()] == [newest]

    def test_an_event_of_a_trigger_that_is_gone_is_noted(self, wine: Models, watching) -> None:
        watched = watching()
        adopted(wine, watched, 2)
        told(watched, "formerly", summary="accuracy fell")
        (entry,) = watched.once()
        assert (entry.action, entry.version, entry.why) == (Action.NOTED, "2", "formerly: accuracy fell")

    def test_what_is_urgent_comes_first(self, wine: Models, watching) -> None:
        noted = DEGRADED | {"name": "minor", "do": ["notify"]}
        spec = self.spec("rollBack")
        watched = watching(
            **spec | {"triggers": [*spec["triggers"], noted]},
            notifications=[{"webhook": "http://127.0.0.1:9"}],
        )
        adopted(wine, watched, 2)
        told(watched, "minor")
        told(watched, "degraded")
        assert [entry.action for entry in watched.once()] == [Action.ROLLED_BACK, Action.NOTED]

    def test_a_trial_is_cut_off_for_what_can_be_done_now_alone(self, wine: Models, watching) -> None:
        watched = watching(**self.spec("rollBack"))
        adopted(wine, watched, 2)
        trial = taken(watched.state, "challenger:wine:9:1", Happening.CHALLENGER, version="9")
        assert not watched.watch._something_urgent(trial)
        told(watched, "degraded")
        assert watched.watch._something_urgent(trial)
        watched.service.error = NotReadyError("no memory")
        watched.watch.work()  # the way back is tried first, and will be again in 2 s
        assert not watched.watch._something_urgent(trial)
        watched.clock.sleep(2)
        assert watched.watch._something_urgent(trial)


class TestATrialThatWasCutOff:
    """By a roll back in its midst; `test_undone_trials` has a real one."""

    def cut_off(
        self, wine: Models, watched: Watched, monkeypatch: pytest.MonkeyPatch, to: str | None = None
    ) -> list[str]:
        """Two versions that served, and a third whose trial an undo cuts off; against whom it is tried."""
        adopted(wine, watched, 2)
        wine.give("challenger", wine.add("v2"))
        against: list[str] = []

        def tried(_means: Means, _runs: Path, baseline: Pinned, *_: object) -> object:
            against.append(baseline.version)
            if len(against) == 1:
                told(watched, "undo", Happening.UNDO, by="ann@host", reason="", to=to)
            raise AbortedError("it was told to")

        monkeypatch.setattr(course, "tried", tried)
        watched.watch._poller.poll(Inbox(watched.state), at_once=True)
        watched.watch.work()
        return against

    def test_it_is_begun_anew_against_what_serves_then(
        self, wine: Models, watching, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        watched = watching()
        against = self.cut_off(wine, watched, monkeypatch)
        watched.watch.work()
        watched.watch.work()
        assert against == ["2", "1"]
        # The second time nothing more urgent waits: somebody ended it by hand.
        assert watched.history[-2:] == [("rolledBack", "1", "2"), ("failed", "3", "1")]

    def test_it_is_over_where_its_own_version_was_put_into_service_meanwhile(
        self, wine: Models, watching, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        watched = watching()
        against = self.cut_off(wine, watched, monkeypatch, to="3")
        watched.work()
        assert watched.history[-2:] == [("rolledBack", "3", "2"), ("noted", "3", "2")]
        assert against == ["2"]


class TestTryingTheNext:
    def spec(self) -> dict[str, object]:
        return {"triggers": [DEGRADED | {"do": ["tryNext"]}], "listen": LISTEN}

    def test_it_is_the_newest_that_neither_served_nor_was_tried(self, wine: Models, watching) -> None:
        watched = watching(**self.spec())
        adopted(wine, watched, 1)
        untried, refused = wine.add("v1"), wine.add("v1")
        event = taken(watched.state, "challenger:wine:3:1", Happening.CHALLENGER, version=refused)
        watched.means.ledger.close_with(
            event, Action.REFUSED, version=refused, before="1", why="worse", by="me"
        )
        key = told(watched, "degraded")
        event = Inbox(watched.state).get(key)
        assert event is not None
        handle(watched.means, event, lambda: False)
        (waits,) = Inbox(watched.state).waiting()
        assert (waits.event.happening, waits.event.body["version"]) == (Happening.CHALLENGER, untried)
        second = Inbox(watched.state).get(told(watched, "degraded"))
        assert second is not None
        handle(watched.means, second, lambda: False)
        assert watched.entries[-1].why == "degraded: an alert; there is no version left to try"

    def test_a_schedule_and_an_age_have_it_done_as_well(self, wine: Models, watching) -> None:
        watched = watching(
            triggers=[
                {"name": "nightly", "schedule": {"cron": "0 3 * * *"}, "do": ["tryNext"]},
                {"name": "old", "expiry": {"timeToLive": "30d"}, "do": ["tryNext"]},
            ]
        )
        adopted(wine, watched, 1)
        watched.clock.sleep(86400)
        (entry,) = watched.once()
        assert entry.why == "nightly: its time has come; there is no version left to try"
        watched.clock.sleep(30 * 86400)
        whys = [entry.why for entry in watched.once()]
        assert "old: version 1 is 31.0 days old; there is no version left to try" in whys
        assert watched.once() == []


class TestUndoing:
    def undo(self, watched: Watched, to: str | None = None) -> None:
        told(watched, "undo", Happening.UNDO, by="ann@host", reason="it swears", to=to)
        watched.work()

    def test_to_the_last_good_version_by_whoever_asked(self, wine: Models, watching) -> None:
        watched = watching()
        adopted(wine, watched, 3)
        self.undo(watched)
        entry = watched.entries[-1]
        assert watched.history[-1] == ("rolledBack", "2", "3")
        assert (entry.why, entry.by) == ("undone: it swears", "ann@host")

    def test_to_any_version_that_the_registry_has(self, wine: Models, watching) -> None:
        watched = watching()
        adopted(wine, watched, 3)
        self.undo(watched, to="1")
        assert watched.history[-1] == ("rolledBack", "1", "3")

    @pytest.mark.parametrize(
        ("to", "why"),
        [
            ("9", "the registry has no version 9 of wine; the newest are 2, 1"),
            ("2", "version 2 is in service already"),
        ],
    )
    def test_to_what_cannot_be_is_said_and_not_tried_again(
        self, wine: Models, watching, to: str, why: str
    ) -> None:
        watched = watching()
        adopted(wine, watched, 2)
        self.undo(watched, to=to)
        assert (watched.entries[-1].action, watched.entries[-1].why) == (Action.FAILED, why)
        assert Inbox(watched.state).waiting() == []
        assert wine.holder("champion") == "2"


def test_a_registry_that_is_away_is_asked_again_and_nothing_is_lost(
    wine: Models, watching, tmp_path: Path
) -> None:
    watched = watching()
    adopted(wine, watched, 1)
    wine.give("challenger", "1")
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        database.execute("ALTER TABLE registered_models RENAME TO elsewhere")  # whoever asks gets an error
        watched.clock.sleep(60)
        with pytest.raises(
            NotReadyError, match=r"the MLflow registry at .* cannot be asked for the challenger"
        ):
            watched.once()
        database.execute("ALTER TABLE elsewhere RENAME TO registered_models")
    watched.clock.sleep(60)
    assert [entry.action for entry in watched.once()] == [Action.NOTED]


def _registered(wine: Models, model: Path) -> str:
    (experiment,) = wine.client.search_experiments(filter_string="name = 'training'")
    run = wine.client.create_run(experiment.experiment_id)
    wine.client.log_artifacts(run.info.run_id, str(model), "model")
    source = f"{run.info.artifact_uri}/model"
    return str(wine.client.create_model_version("wine", source=source, run_id=run.info.run_id).version)


class TestAPromotionThatTheLedgerDoesNotHave:
    def test_a_rollback_writes_it_down_first_and_returns_to_what_it_replaced(
        self, wine: Models, watching, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        watched = watching()
        adopted(wine, watched, 1)
        wine.give("champion", wine.add("v1"))
        trial = taken(watched.state, "challenger:wine:2:1", Happening.CHALLENGER, version="2")
        steps = Steps(watched.state, trial, watched.clock)
        steps.once("intend", lambda: {"before": "1", "why": "better", "evidence": {}})
        told(watched, "undo", Happening.UNDO, by="ann@host", reason="", to=None)
        watched.watch.work()
        assert watched.history[-2:] == [("promoted", "2", "1"), ("rolledBack", "1", "2")]
        assert Inbox(watched.state).waiting() == []
        assert wine.holder("champion") == "1"
        assert watched.service.served[-1] == "1"

    def test_an_undo_is_of_the_version_that_served_when_it_was_asked(self, wine: Models, watching) -> None:
        watched = watching()
        adopted(wine, watched, 2)
        told(watched, "undo", Happening.UNDO, by="ann@host", reason="", to=None, of="1")
        watched.watch.work()
        assert watched.history[-1] == ("failed", None, "2")
        assert wine.holder("champion") == "2"
