"""`posologie explain`: from a number back to the items, and whether every file still matches its record."""

import pytest

from posologie.running.seals import Identity, write_seal

MCQA = "results/simulated/tables/mcqa.csv"
NAT = ("model=tiny/NAT/seed-42", "scope=all", "task=all", "aggregate=item_weighted", "variants=original")
EM = ("metric=em", "decoding=constrained")


def longest(link):
    """Return the kinds along the longest way back from an artifact."""
    return [link["kind"], *max((longest(parent) for parent in link["parents"]), key=len, default=[])]


def test_the_chain_goes_from_the_table_to_the_mix(project, asked):
    code, chain = asked("explain", MCQA, "--row", *NAT, *EM)
    assert code == 0
    assert longest(chain["chain"]) == ["table", "scores", "predictions", "adapter", "mix", "screened", "shard"]
    assert chain["jobs"] == 9
    assert chain["altered"] == []


def test_the_number_rests_on_its_items_and_is_their_mean(project, asked):
    _, chain = asked("explain", MCQA, "--row", *NAT, *EM)
    assert chain["items"]["count"] == len(set(chain["items"]["ids"])) == 24
    assert chain["items"]["recomputed"] == pytest.approx(float(chain["number"]["rows"][0]["value"]), abs=1e-4)
    row = [*NAT[:1], "scope=native", *NAT[2:], *EM]
    _, native = asked("explain", MCQA, "--row", *row)
    assert set(native["items"]["ids"]) < set(chain["items"]["ids"])


def test_a_contrast_rests_on_both_models(project, asked):
    _, chain = asked(
        "explain", "results/simulated/tables/contrasts.csv", "--row", "left=SYN", "right=base", "suite=mcqa"
    )
    models = {parent["file"] for parent in chain["chain"]["parents"]}
    assert models == {
        "results/simulated/scores/tiny/SYN/seed-42/mcqa.parquet",
        "results/simulated/scores/tiny/base/mcqa.parquet",
    }


def test_what_is_printed_names_value_interval_n_and_signature(project, posologie):
    code, out, _ = posologie("explain", MCQA, "--row", *NAT, *EM)
    assert code == 0
    assert "percentile at level 0.95" in out or "wilson at level 0.95" in out
    assert "n = 24 items" in out
    assert "signature: sets of labels" in out
    assert "results/simulated/adapters/tiny/NAT/seed-42/adapter_model.safetensors  as sealed" in out
    assert "9 jobs, 9 min in all." in out


def test_several_rows_are_told_apart(project, posologie):
    _, out, _ = posologie("explain", MCQA, "--row", "mix=NAT", *EM)
    assert "rows match; --row KEY=VALUE … narrows them to one" in out
    assert "scope: all, native, translated" in out


def test_an_altered_file_is_found(project, asked, posologie):
    weights = project / "results/simulated/adapters/tiny/NAT/seed-42/adapter_model.safetensors"
    weights.write_text("other weights")
    code, chain = asked("explain", MCQA, "--row", *NAT, *EM)
    assert code == 1
    assert chain["altered"] == ["results/simulated/adapters/tiny/NAT/seed-42/adapter_model.safetensors"]
    code, out, _ = posologie("explain", "results/simulated/predictions/tiny/NAT/seed-42/mcqa.parquet")
    assert code == 1
    assert "altered: results/simulated/adapters/tiny/NAT/seed-42/adapter_model.safetensors" in out


def test_a_value_that_was_changed_in_the_table_is_not_what_the_scores_say(project, asked, posologie):
    _, before = asked("explain", MCQA, "--row", *NAT, *EM)
    value = before["number"]["rows"][0]["value"]
    table = project / MCQA
    table.write_text(table.read_text().replace(f",{value},", ",99.9,"))
    code, chain = asked("explain", MCQA, "--row", *NAT, *EM)
    assert (code, chain["differs"], chain["altered"]) == (1, True, [MCQA])
    code, out, _ = posologie("explain", MCQA, "--row", *NAT, *EM)
    assert code == 1
    assert "The table prints a different value: it was not made from these scores." in out


def test_an_artifact_whose_input_was_made_anew_is_outdated(project, asked):
    from simulated import _seal

    mix = project / "results/simulated/mixes/NAT/seed-42"
    (mix / "train.parquet").write_bytes((mix / "train.parquet").read_bytes() + b" ")
    _seal("mixes", [], [mix / "train.parquet", mix / "validation.parquet", mix / "composition.json"])
    code, chain = asked("explain", MCQA, "--row", *NAT, *EM)
    assert (code, chain["altered"]) == (1, [])
    assert chain["outdated"] == ["results/simulated/adapters/tiny/NAT/seed-42/adapter_model.safetensors"]


def test_a_missing_file_is_found(project, asked):
    (project / "results/simulated/predictions/tiny/base/mcqa.parquet").unlink()
    code, chain = asked("explain", "results/simulated/scores/tiny/base/mcqa.parquet")
    assert code == 1
    assert chain["missing"] == ["results/simulated/predictions/tiny/base/mcqa.parquet"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((MCQA, "--row", "mix=NATT"), "no such row has mix = 'NATT'; found (empty), NAT, TRAD, SYN"),
        ((MCQA, "--row", "mixture=NAT"), "--row mixture=NAT: expected KEY=VALUE with a KEY of suite,"),
        ((MCQA, "--column", "worth"), "--column worth: expected one of suite,"),
        (("results/simulated/tables/none.csv",), "results/simulated/tables/none.csv: no such file"),
        (("pyproject.toml",), "pyproject.toml: no such file"),
        (("results/simulated/tables",), "results/simulated/tables: a folder; name a file in it"),
    ],
)
def test_a_question_that_does_not_fit_is_one_line_and_exit_code_2(project, posologie, arguments, message):
    code, out, err = posologie("explain", *arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1


def test_a_file_outside_of_any_study_is_refused(project, posologie):
    (project / "notes.txt").write_text("")
    code, _, err = posologie("explain", "notes.txt")
    assert code == 2
    assert "not below results/<study>/" in err


def test_hours_of_all_jobs_lead_to_adapters_and_predictions_that_exist(project, asked):
    (project / "results/simulated/tables/compute.csv").write_text(
        "stage,model,suites,hours\ntraining,tiny/NAT/seed-42,,1\nprediction,tiny/base,mcqa,2\n"
    )
    code, chain = asked("explain", "results/simulated/tables/compute.csv")
    assert (code, chain["not sealed"]) == (1, ["results/simulated/tables/compute.csv"])
    assert {link["kind"] for link in chain["chain"]["parents"]} == {"adapter", "predictions"}


def test_a_score_of_the_encoder_rests_on_the_files_that_hold_it(project, asked):
    table = project / "results/simulated/tables/oeq.csv"
    table.write_text("model,suite,metric,value\ntiny/base,open,bertscore,80.0\ntiny/base,open,rouge_l,20.0\n")
    for metric, folder in (("bertscore", "scores_neural"), ("rouge_l", "scores")):
        _, chain = asked("explain", "results/simulated/tables/oeq.csv", "--row", f"metric={metric}")
        assert [link["file"] for link in chain["chain"]["parents"]] == [
            f"results/simulated/{folder}/tiny/base/open.parquet"
        ]


def test_a_row_over_human_ratings_leads_to_the_ratings_and_the_judges_verdicts(project, asked):
    (project / "results/simulated/tables/agreement.csv").write_text("set,rater,value\nkit,judge:strict,0.5\n")
    for file in ("human/kit.parquet", "judgements/strict/calibration/kit.parquet"):
        path = project / "results/simulated" / file
        path.parent.mkdir(parents=True)
        path.write_text("stands for the file")
    code, chain = asked("explain", "results/simulated/tables/agreement.csv")
    assert (code, len(chain["not sealed"])) == (1, 3)
    assert [link["kind"] for link in chain["chain"]["parents"]] == ["human", "calibration"]


@pytest.fixture
def rated(project):
    """The project with ratings, the verdicts of two judges that make up a panel, and tables over them."""
    root = project / "results/simulated"
    files = ["human/kit.parquet", "human_scores/kit.parquet"]
    files += [f"judgements/{judge}/calibration/kit.parquet" for judge in ("strict", "mild")]
    files += [f"judgements/{judge}/tiny/{name}/oeq.parquet" for judge in ("strict", "mild")
              for name in ("base", "NAT/seed-42")]  # fmt: skip
    tables = {
        "corrected": "set,suite,scope_kind,scope,judge,kind,model,against,n,clusters,rated,naive,value\n"
        "kit,oeq,all,all,strict,model,tiny/NAT/seed-42,,40,12,12,50,40\n"
        "kit,oeq,all,all,panel,difference,tiny/NAT,tiny/base,40,12,24,10,5\n",
        "raters": "set,raters_kind,statistic,rater,scale,raters,ratings,n,clusters,value\n"
        "kit,people,against_others,anne,nominal,2,24,12,12,0.5\n"
        "kit,judges,alpha,,nominal,2,24,12,12,0.4\n"
        "kit,panel,alpha,,nominal,2,24,12,12,0.3\n",
        "agreement": "set,rater_kind,rater,against,value\n"
        "kit,judge,judge:panel,human,0.6\nkit,metric,rouge2,human,0.2\n",
    }
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("stands for the file")
        write_seal([path], Identity("posologie.judging", "0", {}), {}, {"seconds": 60.0})
    for name, text in tables.items():
        path = root / "tables" / f"{name}.csv"
        path.write_text(text)
        spec = {"judges": ["strict", "mild"], "panel": ["strict", "mild"]}
        write_seal([path], Identity(f"posologie.statistics.{name}", "0", spec), {}, {})
    return root


def behind(chain):
    """Return the files behind a number, as seen from the study's folder."""
    return {parent["file"].removeprefix("results/simulated/") for parent in chain["chain"]["parents"]}


def test_a_corrected_score_rests_on_ratings_answers_and_verdicts_of_both_models(rated, asked, posologie):
    corrected = "results/simulated/tables/corrected.csv"
    code, chain = asked("explain", corrected, "--row", "judge=strict")
    assert code == 0
    assert behind(chain) == {
        "human/kit.parquet",
        "predictions/tiny/NAT/seed-42/oeq.parquet",
        "judgements/strict/tiny/NAT/seed-42/oeq.parquet",
    }
    code, chain = asked("explain", corrected, "--row", "kind=difference")
    assert code == 0, "the panel has no file of its own"
    assert behind(chain) == {"human/kit.parquet"} | {
        f"{folder}/tiny/{name}/oeq.parquet"
        for folder in ("predictions", "judgements/strict", "judgements/mild")
        for name in ("base", "NAT/seed-42")
    }
    _, out, _ = posologie("explain", corrected, "--row", "judge=strict", "--column", "naive")
    assert "naive = 50" in out
    assert "n = 40 answers, 12 rated, in 12 clusters" in out


def test_raters_and_panels_rest_on_the_people_or_the_judges_that_they_are(rated, asked):
    verdicts = {f"judgements/{judge}/calibration/kit.parquet" for judge in ("strict", "mild")}
    for table, row, files in (
        ("raters", "raters_kind=people", set()),
        ("raters", "raters_kind=judges", verdicts),
        ("raters", "raters_kind=panel", verdicts),
        ("agreement", "rater=judge:panel", verdicts),
        ("agreement", "rater=rouge2", {"human_scores/kit.parquet"}),
    ):
        code, chain = asked("explain", f"results/simulated/tables/{table}.csv", "--row", row)
        assert (code, behind(chain)) == (0, {"human/kit.parquet"} | files), (table, row)
