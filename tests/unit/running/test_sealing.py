"""A job makes what was planned, seals it last, and refuses what changed meanwhile."""

import json
import os

import pytest
from sealing_bench import MODULE, sealing_bench  # noqa: F401 - the fixture `bench`

from posologie.running import sealing
from posologie.running.claims import Process
from posologie.running.errors import InputError
from posologie.running.planning import accept, acceptances, accepted_pairs
from posologie.running.sealing import Request, taken_out
from posologie.running.seals import (
    FileHashes,
    Identity,
    check_seal,
    input_differences,
    read_seal,
    seal_of,
    seal_path,
    spec_differences,
    write_seal,
)
from posologie.running.whole_files import whole_file


def test_an_artifact_is_sealed_with_spec_code_inputs_and_files(bench):
    bench.make()
    seal = read_seal("out.txt.seal.json")
    assert seal.identity == Identity(MODULE, "c0de", "s")
    assert seal.inputs == {"input.txt": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"}
    assert list(seal.outputs) == ["out.txt"]
    assert bench.stale() == ""


def test_what_is_made_already_is_not_made_again(bench):
    bench.make()
    before = (bench.root / "out.txt").stat().st_mtime_ns
    bench.make()
    assert (bench.runs, (bench.root / "out.txt").stat().st_mtime_ns) == (1, before)
    bench.make("other")
    assert bench.runs == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda bench: setattr(bench, "code", "0ther"), "code: posologie.scoring 0ther, sealed c0de"),
        (lambda bench: (bench.root / "input.txt").write_text("b"), "input: input.txt has other content"),
        (lambda bench: (bench.root / "out.txt").write_text("by hand"), "file: out.txt was altered after it was made"),
        (lambda bench: (bench.root / "out.txt.seal.json").unlink(), "seal: out.txt.seal.json is missing or unreadable"),
        (lambda bench: (bench.root / "out.txt.seal.json").write_text("{"), "seal: out.txt.seal.json is missing"),
        (lambda bench: (bench.root / "input.txt").unlink(), ""),
        (lambda bench: (bench.root / "out.txt").unlink(), ""),
    ],
)
def test_the_plan_says_why_an_artifact_is_not_the_planned_one(bench, change, reason):
    bench.make()
    change(bench)
    assert bench.stale().startswith(reason) if reason else bench.stale() == ""


def test_one_of_two_files_that_is_gone_or_not_sealed_is_noticed(bench):
    two = ("out.txt", "more.txt")
    bench.make(outputs=two)
    assert bench.stale(outputs=two) == ""
    (bench.root / "more.txt").unlink()
    assert bench.stale(outputs=two) == "file: more.txt is gone"
    (bench.root / "third.txt").write_text("")
    assert "file: third.txt is not in the seal" in bench.stale(outputs=("out.txt", "third.txt"))


def test_files_whose_number_is_known_once_they_are_made_belong_to_the_artifact(bench):
    pages = {"outputs": ("index.js",), "beside": "*.js"}
    bench.make(**pages, pages=("0.js", "1.js", "notes.txt"))
    assert set(read_seal("index.js.seal.json").outputs) == {"index.js", "0.js", "1.js"}
    assert bench.stale(**pages) == ""
    bench.make(**pages)
    assert bench.runs == 1, "it is made already"
    (bench.root / "1.js").write_text("by hand")
    assert bench.stale(**pages) == "file: 1.js was altered after it was made"
    bench.make(**pages, pages=("0.js", "1.js"))
    (bench.root / "0.js").unlink()
    assert bench.stale(**pages) == "file: 0.js is gone"
    bench.make(**pages, pages=("0.js", "1.js"))
    (bench.root / "2.js").write_text("left by an earlier version")
    assert bench.stale(**pages) == "file: 2.js is not in the seal"
    assert Request.from_text(Request((), ("index.js",), beside="*.js").to_text()).beside == "*.js"


def test_differences_of_specs_are_named_by_key_with_both_values(bench):
    bench.make({"recipe": {"learning_rate": 0.5, "epochs": 2}, "mix": "NAT"})
    now = {"recipe": {"learning_rate": 0.01, "epochs": 2}, "mix": "NAT"}
    assert bench.stale(now) == "spec: recipe.learning_rate 0.01, sealed 0.5"
    assert bench.stale({"recipe": {"learning_rate": 0.5, "epochs": 2}}) == 'spec: mix not set, sealed "NAT"'
    many = {f"key{number}": number for number in range(6)}
    assert bench.stale(many).endswith("; and 5 more")


@pytest.mark.parametrize(("now", "sealed"), [(1, 1.0), (1, True), ([1, 2], [2, 1]), ("1", 1), (None, 0), ([1], [1, 2])])
def test_values_that_only_look_alike_differ(now, sealed):
    assert spec_differences(Identity("m", "c", {"x": sealed}), Identity("m", "c", {"x": now}))


def test_inputs_are_compared_by_path_and_where_paths_moved_by_content():
    assert input_differences({"a": "1", "b": "2"}, {"a": "1", "b": "3"}) == ["input: b has other content"]
    assert input_differences({"old/a": "1"}, {"new/a": "1"}) == []
    assert input_differences({"a": "1"}, {"a": "1", "b": "2"}) == ["input: b was not read"]
    assert input_differences({"a": "1", "b": "2"}, {"a": "1"}) == ["input: b is not read any more"]
    assert len(input_differences({"a": "1", "b": "2"}, {"a": "2", "b": "1"})) == 2, "a swap is a change"
    assert input_differences({"old/a": "1", "old/b": "2"}, {"new/b": "2", "new/a": "1"}) == []
    assert input_differences({"old/a": "1", "old/b": "2"}, {"new/a": "2", "new/b": "1"}), "a swap and a move"
    assert input_differences({"old/a/x": "1", "old/b/x": "2"}, {"new/b/x": "2", "new/a/x": "1"}) == []
    both = input_differences({"a": "1"}, {"a": "3", "b": "2"})
    assert both == ["input: a has other content", "input: b was not read"]
    assert input_differences({"a": "1", "b": "2"}, {"a": "3"})[1:] == ["input: b is not read any more"]
    assert input_differences({"z/x/a": "1", "m/b": "2"}, {"a/x/a": "1", "n/b": "2"}) == [], (
        "folders moved by themselves"
    )


def test_a_folder_in_the_place_of_a_file_is_planned_again_and_refused_in_one_line(bench):
    bench.make()
    (bench.root / "out.txt").unlink()
    (bench.root / "out.txt").mkdir()
    assert bench.stale() == "file: out.txt was altered after it was made"
    with pytest.raises(InputError, match=r"out\.txt: a folder stands where a file belongs"):  # noqa: SIM117
        with whole_file("out.txt") as partial:
            partial.write_text("new")


def test_inputs_that_exchanged_their_contents_make_the_artifact_anew(bench):
    def join(argv):
        bench.runs += 1
        (bench.root / "out.txt").write_text((bench.root / "input.txt").read_text() + (bench.root / "b.txt").read_text())

    request = Request(("input.txt", "b.txt"), ("out.txt",))
    (bench.root / "b.txt").write_text("b")
    for first, second in (("a", "b"), ("b", "a")):
        (bench.root / "input.txt").write_text(first)
        (bench.root / "b.txt").write_text(second)
        sealing.make(MODULE, lambda module: "c", [], request, join)
        assert (bench.root / "out.txt").read_text() == first + second
    sealing.make(MODULE, lambda module: "c", [], request, join)
    assert bench.runs == 2


def test_an_input_that_changes_while_it_is_read_is_not_sealed(bench):
    bench.meanwhile = lambda: (bench.root / "input.txt").write_text("b")
    with pytest.raises(InputError, match=r"input\.txt: changed while the job that reads it ran"):
        bench.make()
    assert read_seal("out.txt.seal.json") is None


@pytest.mark.parametrize("keeps_its_time", [False, True])
def test_an_input_that_was_written_and_put_back_while_it_is_read_is_not_sealed(bench, keeps_its_time):
    file = bench.root / "input.txt"
    before = file.stat()

    def written():
        file.write_text("b")
        file.write_text("a")
        if keeps_its_time:
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    bench.meanwhile = written
    with pytest.raises(InputError, match=r"input\.txt: was written \(and has its old content again\)"):
        bench.make()
    assert read_seal("out.txt.seal.json") is None
    bench.meanwhile = lambda: None
    bench.make()
    assert bench.stale() == ""


def test_code_that_changes_while_it_runs_is_not_sealed(bench):
    bench.meanwhile = lambda: setattr(bench, "code", "edit")
    with pytest.raises(InputError, match="its code changed while the job ran"):
        bench.make()
    assert read_seal("out.txt.seal.json") is None


def test_an_altered_input_is_refused_by_name(bench):
    bench.make()
    (bench.root / "out.txt").write_text("by hand")
    with pytest.raises(InputError, match=r"out\.txt: truncated or altered after it was made"):
        check_seal("out.txt")
    request = Request(("out.txt",), ("next.txt",))
    with pytest.raises(InputError, match=r"out\.txt: truncated or altered"):
        sealing.make(MODULE, lambda module: "c", ["--spec", "{}"], request, lambda argv: None)


def test_a_file_without_a_seal_passes_and_a_part_is_covered_by_the_seal_of_its_artifact(bench):
    check_seal("input.txt")
    bench.make(outputs=("out.txt", "more.txt"))
    assert seal_of("more.txt").path == seal_path(["out.txt"])
    (bench.root / "more.txt").write_text("by hand")
    with pytest.raises(InputError, match=r"more\.txt: truncated or altered"):
        check_seal("more.txt")


def test_a_command_that_fails_or_forgets_a_file_seals_nothing(bench):
    def fails(argv):
        raise SystemExit(75)

    request = Request(("input.txt",), ("out.txt",))
    with pytest.raises(SystemExit):
        sealing.make(MODULE, lambda module: "c", [], request, fails)
    with pytest.raises(InputError, match=r"out\.txt: posologie\.scoring ended without writing it"):
        sealing.make(MODULE, lambda module: "c", [], request, lambda argv: None)
    assert not (bench.root / "out.txt.seal.json").exists()


def test_files_of_an_artifact_come_into_place_together_or_not_at_all(bench):
    two = ("out.txt", "more.txt")
    request = Request(("input.txt",), two)

    def write(argv, last=True):
        first, second = argv[1], argv[3].partition("=")[2]
        assert (first, second) != two, "written beside its place"
        (bench.root / first).write_text("new")
        assert not (bench.root / "out.txt").exists() or (bench.root / "out.txt").read_text() == "old old"
        if not last:
            raise SystemExit(1)
        (bench.root / second).write_text("new too")
        (bench.root / first).with_name("not-declared.txt").write_text("comes along")

    words = ["--out", "out.txt", "--more", "NAME=more.txt"]
    for output in two:
        (bench.root / output).write_text("old old")
    with pytest.raises(SystemExit):
        sealing.make(MODULE, lambda module: "c", words, request, lambda argv: write(argv, last=False))
    assert [(bench.root / output).read_text() for output in two] == ["old old"] * 2
    sealing.make(MODULE, lambda module: "c", words, request, write)
    assert [(bench.root / output).read_text() for output in two] == ["new", "new too"]
    assert (bench.root / "not-declared.txt").exists()
    assert not list(bench.root.glob(".out.txt.staging*"))


def test_the_option_is_taken_out_of_the_arguments_and_read_from_a_file_where_it_is_long(bench):
    request = Request(("a b",), ("c",), {"size": 3}, "w x")
    words, request_read = taken_out(["--spec", "{}", "--sealing", request.to_text(), "--more", "1"])
    assert (words, request_read) == (["--spec", "{}", "--more", "1"], request)
    (bench.root / "list.json").write_text(request.to_text())
    assert taken_out(["--sealing", "@list.json"]) == ([], request)
    assert taken_out(["--spec", "{}"]) == (["--spec", "{}"], None)


def test_accepted_changes_of_code_join_digests_over_several_steps(bench):
    bench.make()
    steps = [("c0de", "one"), ("one", "two")]
    accept("results/s", [{"module": MODULE, "old": old, "new": new, "reason": "r", "when": "w"} for old, new in steps])
    pairs = accepted_pairs(acceptances("results/s"))
    bench.code = "two"
    assert bench.stale() != ""
    assert bench.stale(accepted=pairs) == ""
    bench.code = "three"
    assert bench.stale(accepted=pairs).startswith("code:")
    bench.code = "c0de"
    write_seal(["out.txt"], bench.identity("s"), {"input.txt": FileHashes("h").of("input.txt")}, {})
    bench.code = "two"
    assert bench.stale(accepted={"posologie.other": pairs[MODULE]}).startswith("code:"), "of another module"


def test_acceptances_that_are_not_as_written_are_refused(bench):
    (bench.root / "accepted.json").write_text('[{"module": "m"}]')
    with pytest.raises(InputError, match="expected a list of entries with module"):
        acceptances(".")


BROKEN = {
    "another format": {"format": 2},
    "a code that is no text": {"code": ["c0de"]},
    "a module that is no text": {"module": None},
    "inputs that are a list": {"inputs": ["input.txt"]},
    "a checksum that is no text": {"outputs": {"out.txt": 5}},
    "settings that are none": {"settings": None},
    "made by nothing": {"made": 7},
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_seal_that_is_not_as_written_counts_as_none(bench, name):
    bench.make()
    file = bench.root / "out.txt.seal.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **BROKEN[name]}))
    assert read_seal(file) is None
    assert bench.stale() == "seal: out.txt.seal.json is missing or unreadable"
    bench.make()
    assert (bench.stale(), bench.runs) == ("", 2)


@pytest.mark.parametrize("text", ["", "[]", '{"input.txt": 5}', '{"input.txt": []}', '{"input.txt": [1, "x"]}', "\xff"])
def test_a_damaged_memory_of_hashes_is_not_trusted(bench, text):
    first = FileHashes("other.json").of("input.txt")
    (bench.root / "hashes.json").write_bytes(text.encode("latin-1"))
    assert FileHashes("hashes.json").of("input.txt") == first


def test_hashes_are_remembered_until_size_time_or_inode_change(bench, monkeypatch):
    hashes = FileHashes("hashes.json")
    first = hashes.of("input.txt")
    hashes.keep()
    monkeypatch.setattr("posologie.running.seals.sha256_of_file", lambda path: "hashed again")
    again = FileHashes("hashes.json")
    assert again.of("input.txt") == first
    os.utime("input.txt", ns=(7, 7))
    assert again.of("input.txt") == "hashed again"
    again.remember("input.txt", first)
    (bench.root / "input.txt").write_text("b")
    os.utime("input.txt", ns=(7, 7))
    assert again.of("input.txt") == "hashed again", "a change that keeps size, time and inode"
    assert again.of("none.txt") == ""


def test_a_file_that_was_altered_after_its_seal_is_not_remembered_as_sealed(bench):
    bench.make(outputs=("out.txt", "more.txt"))
    later = os.stat("out.txt.seal.json").st_mtime_ns + 10**9
    (bench.root / "more.txt").write_text("by hand")
    os.utime("more.txt", ns=(later, later))
    hashes = FileHashes("hashes.json")
    hashes.remember_sealed(read_seal("out.txt.seal.json"))
    assert list(hashes.checksums) == ["out.txt"]
    assert hashes.of("more.txt") != read_seal("out.txt.seal.json").outputs["more.txt"]


def test_a_file_of_an_earlier_time_that_was_put_in_place_after_the_seal_is_hashed_again(bench):
    bench.make()
    (bench.root / "older.txt").write_text("by hand")
    os.utime("older.txt", ns=(1, 1))
    os.replace("older.txt", "out.txt")
    hashes = FileHashes("hashes.json")
    hashes.remember_sealed(read_seal("out.txt.seal.json"))
    assert hashes.of("out.txt") != read_seal("out.txt.seal.json").outputs["out.txt"]


def test_a_process_knows_whether_another_one_is_dead():
    this = Process.this()
    assert not this.dead()
    assert Process(this.machine, this.pid, this.started - 100).dead(), "the pid belongs to another process now"
    assert Process(this.machine, 2**22 + 1, 1.0).dead()
    assert not Process("another machine", 1, 1.0).dead(), "nothing is known of other machines"
