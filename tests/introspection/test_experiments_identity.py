"""What a checkpoint of an arm is of: all that its numbers depend on, and nothing else."""

from experiment_arms import ARMS, FREE, STAGES

from emergence.introspection import experiments


class TestIdentity:
    """Of the settings: the same on every machine. Of the numbers read: this machine's own."""

    def of(self, run, size=3, arm="free", kind="translators", changes=None, **others):
        chosen = run(**(changes or {})).model_copy(update=others)
        return experiments.identity(chosen, kind, arm, size)

    def changed(self, **keys):
        return {"translators": ARMS["translators"] | {"free": FREE | keys}}

    def test_changes_with_every_setting_that_the_numbers_depend_on(self, run):
        others = [
            self.of(run, size=2),
            self.of(run, arm="pair"),
            self.of(run, changes=self.changed(degree=2)),
            self.of(run, changes=self.changed(noise=0.1)),
            self.of(run, changes=self.changed(dataset="alike")),
            self.of(run, seed=8),
            self.of(run, precision="float32"),
            self.of(run, changes={"lead_sites": 7}),
            self.of(run, changes={"seeds": 3}),
        ]
        assert len({self.of(run), *others}) == 1 + len(others)

    def test_of_a_distiller_changes_with_its_translator(self, run):
        stages = {**STAGES, "short": STAGES["short"][:1]}
        found = [
            self.of(run, 2, "born", "distillers", changes)
            for changes in ({}, self.changed(degree=2), {"stages": stages})
        ]
        assert len(set(found)) == 3

    def test_does_not_change_with_other_arms_datasets_stages_or_threads(self, run):
        fewer = {"free": ARMS["translators"]["free"], "pair": ARMS["translators"]["pair"]}
        changes = {"translators": fewer, "stages": STAGES | {"long": STAGES["short"]}}
        assert self.of(run) == self.of(run, changes=changes, threads=2)

    def test_inputs_change_with_the_data_and_the_threads(self, run, data):
        waves = data["waves"]
        before = experiments.inputs(run(), waves)
        assert before == experiments.inputs(run(), {k: v.copy() for k, v in waves.items()})
        potential = waves["train_potential"] * (1.0 + 1e-12)
        others = [
            experiments.inputs(run(), waves | {"train_potential": potential}),
            experiments.inputs(run(), data["alike"]),
            experiments.inputs(run().model_copy(update={"threads": 2}), waves),
        ]
        assert len({before, *others}) == 1 + len(others)
