"""What the tables declare: their rows, seeds, configurations and published numbers."""

from iid_jax.evaluation import arms, chain, outcome, protocols

HOME = "practice_faces/default"


def test_every_table_is_declared_and_its_configurations_are_known():
    for name in protocols.names():
        for form in arms.FORMS:
            table = protocols.table(name, form)
            assert table.rows and all(row.cells for row in table.rows)
            runs = [row.training for row in table.rows]
            assert len({training.name for training in runs}) == len(runs)
            assert {training.start for training in runs} == {None} or name == "practice"


def test_tables_of_two_data_sets_and_forms_share_a_workdir(tmp_path):
    made = [
        protocols.table(name, form, data)
        for name in protocols.names()
        for form in arms.FORMS
        for data in arms.MADE
    ]
    stored = {outcome.files(table, tmp_path): table.rows for table in made}
    # The paper's tables have one form and no data to choose.
    assert all(stored[outcome.files(table, tmp_path)] == table.rows for table in made)
    assert len({path for paths in stored for path in paths}) == 2 * (5 + 5 * 2 * len(arms.FORMS))


def test_compression_is_in_every_label_of_the_published_data_set():
    for name in ("sota", "cross_method", "robustness", "sbi"):
        table = protocols.table(name)
        assert "c23" in table.title
        assert all("c23" in row.training.data for row in table.rows)


def test_published_numbers_are_the_authors_and_nothing_else_is_filled_in():
    tables = [protocols.table(name) for name in protocols.names()]
    found = {r.label: list(r.published.values()) for t in tables for r in t.rows if r.published}
    assert found == {
        "Ours, resnet34": [0.9970, 0.9115, 0.7149],
        "Ours, efficientnet_b3": [0.9978, 0.9308, 0.7334],
        "Ours, efficientnet_b4": [0.9979, 0.9388, 0.7385],
    }


def test_practice_has_all_arms_pairings_gaps_donors_and_seeds():
    rows = protocols.table("practice").rows
    told = " ".join(row.label for row in rows)
    for word in (
        "binary",
        "adm",
        "mfs",
        "iid",
        "paired",
        "independent",
        "gap=donor",
        "gap=target",
        "donors=10",
        "donors=20",
        "donors=50",
        "without=poisson_swap",
        "from identity",
    ):
        assert word in told, word
    assert {row.training.name.rpartition("-")[2] for row in rows} == {"0", "1", "2"}
    assert {row.training.data for row in rows} >= {HOME, "practice_faces/donor_p80_d10"}
    quick = protocols.table("practice", "quick").rows
    assert 8 <= len(quick) <= 15


def test_the_short_form_has_all_rows_of_the_full_one_and_takes_over_the_quick_runs():
    full, short, quick = (protocols.table("practice", form).rows for form in arms.FORMS)
    assert [row.label for row in short] == [row.label for row in full]
    assert not {row.training.name for row in short} & {row.training.name for row in full}
    assert {row.training for row in quick} <= {row.training for row in short}


def test_pretrained_weights_make_runs_and_tables_of_their_own(tmp_path):
    (tmp_path / "resnet34.pth").write_bytes(b"")
    made = protocols.table("sota")
    table = protocols.from_weights(made, str(tmp_path))
    assert outcome.files(table, tmp_path) != outcome.files(made, tmp_path)
    names = [{row.training.name for row in t.rows} for t in (made, table)]
    assert len(names[1]) == len(names[0]) and not names[0] & names[1]
    steps = [s for s in chain.plan(table, tmp_path, tmp_path) if "--workdir" in s.told]
    started = {step.told.split("init_from=")[1].split()[0]: step.blocked for step in steps}
    assert str(tmp_path / "resnet34.pth") in started
    asked = str(tmp_path / "xception.safetensors")
    assert started[asked] == f"{asked} (or .pth): weights of xception are not there"
    probes = [protocols.table("probe", data="faceforensics/c23") for _ in range(2)]
    probes[1] = protocols.from_weights(probes[1], str(tmp_path))
    folders = [{step.produces for step in chain.plan(t, tmp_path, tmp_path)} for t in probes]
    assert not folders[0] & folders[1]


def test_arms_differ_in_the_method_and_the_steps_to_their_plateau_alone():
    rows = [r for r in protocols.table("practice").rows if r.training.name.endswith("-0")]
    by_arm = {}
    for row in rows:
        setting, _, arm = row.label.rpartition(": ")
        config = row.training.config.replace(f"method={arm}", "").split(",")
        rest = [word for word in config if not word.startswith("steps=")]
        by_arm.setdefault(setting, []).append((rest, row.training.overrides[0]))
    assert all(len(arms) == 4 and arms[0] == other for arms in by_arm.values() for other in arms)


def test_the_leak_is_measured_with_and_without_a_gap_on_the_runs_of_other_tables():
    runs = [row.training for row in protocols.table("probe").rows]
    assert {training.seed for training in runs} == {0, 1, 2} and len(runs) == 12
    assert {training.data for training in runs} == {HOME, "practice_faces/donor_p80_d10"}
    practice = {row.training for row in protocols.table("practice").rows}
    assert {t for t in runs if t.data != HOME} <= practice
    assert set(runs) == {row.training for row in protocols.table("tsne").rows}
