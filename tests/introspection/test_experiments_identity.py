"""What a checkpoint of an arm is of: all that its numbers depend on, and nothing else."""

from experiment_arms import ARMS, STAGES

from emergence.introspection import experiments


class TestIdentity:
    def of(self, run, data, size=3, arm=None, **changes):
        arm = arm or run().introspection.translators["free"].model_dump()
        chosen = run().model_copy(update=changes)
        return experiments.identity(chosen, arm, data, size)

    def test_changes_with_all_that_the_numbers_depend_on(self, run, data):
        waves = data["waves"]
        before = self.of(run, waves)
        assert before == self.of(run, {key: value.copy() for key, value in waves.items()})
        arm = run().introspection.translators["free"].model_dump()
        potential = waves["train_potential"] * (1.0 + 1e-12)
        others = [
            self.of(run, waves, size=2),
            self.of(run, waves, arm=arm | {"degree": 2}),
            self.of(run, waves, arm=arm | {"noise": 0.1}),
            self.of(run, waves | {"train_potential": potential}),
            self.of(run, data["alike"]),
            self.of(run, waves, seed=8),
            self.of(run, waves, threads=2),
            self.of(run, waves, precision="float32"),
            self.of(run, waves, introspection=run(lead_sites=7).introspection),
            self.of(run, waves, introspection=run(seeds=3).introspection),
        ]
        assert len({before, *others}) == 1 + len(others)

    def test_does_not_change_with_other_arms_datasets_or_stages(self, run, data):
        before = self.of(run, data["waves"])
        fewer = {"free": ARMS["translators"]["free"], "pair": ARMS["translators"]["pair"]}
        other = run(translators=fewer, stages=STAGES | {"long": STAGES["short"]})
        assert before == self.of(run, data["waves"], introspection=other.introspection)
