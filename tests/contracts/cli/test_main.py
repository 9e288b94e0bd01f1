"""The command line: options from arguments, environment and file, the exit status, and errors of one line."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import click
import pytest
from zof_contracts.cli import execution
from zof_contracts.cli.main import main
from zof_contracts.cli.verify import verify
from zof_contracts.contract.rules import RULES
from zof_contracts.evidence.events import VerificationStarted
from zof_contracts.evidence.findings import RuleResult, Verdict
from zof_contracts.report import FILES
from zof_contracts.report.curl import name_key_variable
from zof_contracts.report.document import FORMAT
from zof_contracts.target.budget import Budget, BudgetExceeded
from zof_contracts.target.target import KEYS
from zof_contracts.target.transport import Unreachable

from tests.zof import ADMIN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from zof_contracts.evidence.verification import Verification

KEY: Final = "zof_secret_main_1"
HERE: Final = ("--url", "http://127.0.0.1:1", "--key", KEY)
OPTIONS: Final = [each for each in verify.params if isinstance(each, click.Option)]


@dataclass
class Runner:
    """A fake of `run`: it records its arguments and returns the verification that it was given."""

    answer: Callable[..., Verification]
    asked: dict[str, Any] = field(default_factory=dict)

    def __call__(self, target: Any, **asked: Any) -> Verification:  # noqa: ANN401  as run has it
        """Record the arguments, publish a first event and return the verification."""
        self.asked = {"target": target, **asked}
        for listener in asked["listeners"]:
            listener(VerificationStarted(target.base, target.profile, 207, 3))
        return self.answer(target=target, seed=asked["seed"], known=asked["known"])


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, make: Callable[..., Verification], tmp_path: Path) -> Runner:
    """A fake of `run`, in an empty folder and without options in the environment."""
    runner = Runner(make)
    monkeypatch.setattr(execution, "run", runner)
    monkeypatch.chdir(tmp_path)
    for option in OPTIONS:
        monkeypatch.delenv(str(option.envvar), raising=False)
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    return runner


def exit_code(*arguments: str) -> int:
    """Run a command line and return its exit status."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    code = ended.value.code
    assert isinstance(code, int)
    return code


def keep_all(verification: Verification) -> Verification:
    """The same verification with every rule kept."""
    return replace(
        verification, results=tuple(RuleResult(each.rule, Verdict.KEPT, 9, "", ()) for each in verification.results)
    )


def keep_only(verification: Verification, verdict: Verdict) -> Verification:
    """The same verification with only the rules of one verdict."""
    return replace(verification, results=tuple(each for each in verification.results if each.verdict is verdict))


@pytest.mark.parametrize(
    ("change", "flags", "code"),
    [
        (lambda verification: verification, (), 1),
        (keep_all, (), 0),
        (keep_all, ("--strict",), 0),
        (lambda verification: keep_only(verification, Verdict.DIFFERS), (), 0),
        (lambda verification: keep_only(verification, Verdict.DIFFERS), ("--strict",), 1),
        (lambda verification: keep_only(verification, Verdict.NOT_EXERCISED), (), 2),
        (lambda verification: replace(verification, interrupted=True), (), 130),
    ],
)
def test_exit_codes(
    run: Runner,
    make: Callable[..., Verification],
    change: Callable[[Verification], Verification],
    flags: tuple[str, ...],
    code: int,
) -> None:
    """0: nothing found; 1: violations, or differences with --strict; 2: nothing was tested; 130: interrupted."""
    run.answer = lambda **values: change(make(**values))
    assert exit_code("verify", *HERE, *flags) == code


def test_the_report_is_printed(run: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output holds the report only, standard error the progress, and neither holds an API key."""
    assert exit_code("verify", *HERE, "--seed", "7") == 1
    out, err = capsys.readouterr()
    assert out.startswith("1. VIOLATED  runs.cancel.terminal-conflict\n")
    assert "seed 7" in out
    assert err == "verifying http://127.0.0.1:1, profile full: 207 rules\n"
    assert KEY not in out + err
    assert run.asked["seed"] == 7


def test_every_report(run: Runner, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every format but text is written to a file in the folder that --report-dir names."""
    assert exit_code("verify", *HERE, "--report", ",".join(FILES), "--report-dir", "out") == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(set(FILES.values()) - {"report.txt"})
    assert capsys.readouterr().err.count("wrote out/") == len(FILES) - 1
    assert run.asked


def test_a_baseline(run: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    """The findings of an earlier JSON report do not fail again."""
    assert exit_code("verify", *HERE, "--report", "json", "--report-dir", ".") == 1
    assert exit_code("verify", *HERE, "--baseline", "report.json") == 0
    assert exit_code("verify", *HERE, "--baseline", "report.json", "--strict") == 0
    assert "VIOLATED (in the baseline)" in capsys.readouterr().out
    assert run.asked


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "invalid --baseline old.json: use a report that --report json wrote"),
        ("[]", "invalid --baseline old.json: use a report that --report json wrote"),
        ("[" * 100_000, "invalid --baseline old.json: use a report that --report json wrote"),
        ('{"format": 1, "findings": []}', f"has format 1: use a report of format {FORMAT}"),
        ('{"format": [], "findings": []}', f"has format []: use a report of format {FORMAT}"),
    ],
    ids=["empty", "no report", "deep", "old", "odd"],
)
def test_a_baseline_that_cannot_be_used(
    run: Runner, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, said: str
) -> None:
    """A baseline of another format, or that is no report, is refused in one line before anything is sent."""
    (tmp_path / "old.json").write_text(content)
    assert exit_code("verify", *HERE, "--baseline", "old.json") == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert run.asked == {}


VALUES: Final = {
    "url": "http://localhost:7/v1",
    "project": "proj_mine",
    "environment": "production",
    "case": ["tc_a", "tc_b", "tc_c"],
    "suite": "suite_x",
    "failing_case": "tc_fail",
    "profile": "read-only",
    "use_up_quota": True,
    "budget": 9,
    "max_time": 1.5,
    "max_runs": 2,
    "workers": 3,
    "seed": 3,
    "max_examples": 4,
    "include": ["runs.*"],
    "exclude": ["runs.cancel"],
    "strict": True,
} | {f"key{'' if name == 'main' else '_' + name.replace('-', '_')}": f"zof_key_{name}" for name in KEYS}


def check(run: Runner) -> None:
    """Check that the verification was run with `VALUES`."""
    target = run.asked["target"]
    assert target.keys == {name: f"zof_key_{name}" for name in KEYS}
    assert (target.base, target.project, target.environment) == ("http://localhost:7", "proj_mine", "production")
    assert (target.cases, target.suite, target.failing_case) == (("tc_a", "tc_b", "tc_c"), "suite_x", "tc_fail")
    assert (target.profile, target.quota, target.is_strict) == ("read-only", True, True)
    assert target.workers == 3
    assert run.asked["budget"] == Budget(requests=9, seconds=1.5, runs=2)
    assert (run.asked["seed"], run.asked["max_examples"]) == (3, 4)
    names = {rule.name for rule in run.asked["rules"]}
    assert names == {name for name in RULES if name.startswith("runs.") and not name.startswith("runs.cancel.")}


def test_every_option_as_a_flag(run: Runner) -> None:
    """Each option can be given as an argument."""
    words: list[str] = []
    for name, value in VALUES.items():
        flag = f"--{name.replace('_', '-')}"
        many = value if isinstance(value, list) else [value]
        words += [flag] if value is True else [word for each in many for word in (flag, str(each))]
    exit_code("verify", *words)
    check(run)


def test_every_option_in_the_environment(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each option has an environment variable; those of key and URL have the vendor's names."""
    names = {str(option.name): str(option.envvar) for option in OPTIONS}
    assert (names["key"], names["url"]) == ("ZOF_API_KEY", "ZOF_BASE_URL")
    for name, value in VALUES.items():
        monkeypatch.setenv(names[name], " ".join(value) if isinstance(value, list) else str(value))
    exit_code("verify")
    check(run)


@pytest.mark.parametrize("name", ["contracts.toml", "other.toml"])
def test_every_option_in_a_file(run: Runner, tmp_path: Path, name: str) -> None:
    """Each option can be set in contracts.toml, or in the file that --config names, with dashes or underscores."""
    lines = [f"{key.replace('_', '-')} = {json.dumps(value)}" for key, value in VALUES.items()]
    (tmp_path / name).write_text("\n".join(lines))
    exit_code("verify", *(("--config", name) if name == "other.toml" else ()))
    check(run)


def test_what_goes_before_what(run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An argument takes precedence over its variable, and the variable over the file."""
    (tmp_path / "contracts.toml").write_text('seed = 1\nbudget = 1\nmax_runs = 1\nexclude = "runs"\nreport = ["text"]')
    monkeypatch.setenv("ZOF_CONTRACTS_BUDGET", "2")
    monkeypatch.setenv("ZOF_CONTRACTS_SEED", "2")
    exit_code("verify", *HERE, "--seed", "3")
    assert run.asked["seed"] == 3
    assert run.asked["budget"] == Budget(requests=2, runs=1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--url", "http://127.0.0.1:1"), "no API key: give one with --key or in ZOF_API_KEY"),
        (("--url", "localhost:1"), "invalid --url: the address must begin with http:// or https://"),
        (("--key", KEY), "no target: give one with --url, in ZOF_BASE_URL, or with --app"),
        (
            ("--key", KEY, "--url", "localhost:1"),
            "invalid --url: the address must begin with http:// or https://",
        ),
        (
            ("--key", KEY, "--url", "https://api.zof.ai", "--profile", "full"),
            "add --i-may-create-runs if you",
        ),
        ((*HERE, "--include", "runs.cancl.race"), "(did you mean 'runs.cancel.race'?)"),
        ((*HERE, "--include", "runs.cancle"), "(did you mean 'runs.cancel'?)"),
        ((*HERE, "--include", "projects", "--exclude", "projects"), "leave no rule to check"),
        ((*HERE, "--report", "pdf"), "unknown report 'pdf': use text, json"),
        ((*HERE, "--case", "tc_a"), "give at least 2 with --case"),
        ((*HERE, "--baseline", "nowhere.json"), "cannot read --baseline nowhere.json: No such file or directory"),
        ((*HERE, "--config", "nowhere.toml"), "cannot read --config nowhere.toml: No such file"),
        (("--key", KEY, "--app", "nope"), "is not module:factory"),
        (("--key", KEY, "--app", "nope:x"), "gives no application: ModuleNotFoundError"),
        ((*HERE, "--app", "zof_emulator:create_app"), "--app and --url (or ZOF_BASE_URL) name two targets"),
        (
            (*HERE, "--fail-under", "101"),
            "Invalid value for '--fail-under' (env var: 'ZOF_CONTRACTS_FAIL_UNDER'): '101': use a number from 0 to 100",
        ),
        ((*HERE, "--report", "json", "--report-dir", "file/x"), "cannot make --report-dir file/x: Not a directory"),
    ],
)
def test_what_cannot_be(
    run: Runner, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    """Invalid options end with status 2 after one line on standard error, and nothing is sent."""
    (tmp_path / "file").touch()
    assert exit_code("verify", *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("zof-contracts: error: ")
    assert said in err
    assert err.count("\n") == 1
    assert run.asked == {}


@pytest.mark.parametrize(
    ("setting", "wanted"),
    [
        ('budget = "many"', "'budget' in contracts.toml: use a number"),
        ("budget = true", "'budget' in contracts.toml: use a number"),
        ("budget = 1.5", "'budget' in contracts.toml: use a number"),
        ("max-time = []", "'max-time' in contracts.toml: use a number"),
        ("url = 7", "'url' in contracts.toml: use a string"),
        ("key = 1979-05-27T07:32:00Z", "'key' in contracts.toml: use a string"),
        ("case = 5", "'case' in contracts.toml: use a list of strings"),
        ("case = [1, 2]", "'case' in contracts.toml: use a list of strings"),
        ("report = {a = 1}", "'report' in contracts.toml: use a list of strings"),
        ('strict = "yes"', "'strict' in contracts.toml: use true or false"),
        ("baseline = inf", "'baseline' in contracts.toml: use a string"),
        ("profile = ['full']", "'profile' in contracts.toml: use a string"),
        ("seed = -1", "-1: use a whole number of at least 0"),
        ("x = " + "[" * 5000, "cannot read contracts.toml"),
    ],
)
def test_a_setting_of_a_wrong_type(
    run: Runner, tmp_path: Path, capsys: pytest.CaptureFixture[str], setting: str, wanted: str
) -> None:
    """A setting of a wrong type is refused in one line that says which type to use."""
    (tmp_path / "contracts.toml").write_text(setting)
    assert exit_code("verify", *HERE) == 2
    err = capsys.readouterr().err
    assert wanted in err
    assert err.count("\n") == 1
    assert run.asked == {}


def test_white_space_around_a_key_is_removed(run: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    """A line end after a key is removed with a note that does not show the key."""
    exit_code("verify", "--url", "http://127.0.0.1:1", "--key", f"{KEY}\r\n", "--key-expired", " zof_expired_5")
    assert run.asked["target"].keys == {"main": KEY, "expired": "zof_expired_5"}
    out, err = capsys.readouterr()
    assert "zof-contracts: note: white space around --key was removed\n" in err
    assert "zof-contracts: note: white space around --key-expired was removed\n" in err
    assert KEY not in out + err


@pytest.mark.parametrize(
    ("percent", "code", "reason"),
    [
        ("0", 0, "no violation was found"),
        ("99", 0, "no violation was found"),
        ("99.7", 2, "99.6% of the rules were exercised, and --fail-under demands 99.7%"),
    ],
)
def test_too_few_rules_exercised(
    run: Runner, capsys: pytest.CaptureFixture[str], percent: str, code: int, reason: str
) -> None:
    """--fail-under gives the percentage of the selected rules that must have been exercised."""

    def leave_one(**values: Any) -> Verification:  # noqa: ANN401  as run has it
        results = keep_all(complete(**values)).results
        skipped = RuleResult(results[0].rule, Verdict.NOT_EXERCISED, 0, "no answer gave evidence", ())
        return complete(**values, results=(skipped, *results[1:]))

    complete, run.answer = run.answer, leave_one
    assert exit_code("verify", *HERE, "--fail-under", percent) == code
    out = " ".join(capsys.readouterr().out.split())
    assert f"Rules: {len(RULES) - 1} kept, {len(RULES) - 1} exercised, {len(RULES)} asked for." in out
    assert out.endswith(f"Exit status {code}: {reason}.")


def test_quiet(run: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    """--quiet leaves the findings and the outcome of the text report, and no progress."""
    assert exit_code("verify", *HERE, "--quiet", "--report", "text,json") == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert "1. VIOLATED  runs.cancel.terminal-conflict" in out
    assert "Not exercised" not in out
    assert out.endswith("Exit status 1: 1 rule is broken.\n")
    assert run.asked


@pytest.mark.parametrize("options", [[], ["--quiet"], ["--report", "json"], ["--quiet", "--report", "json"]])
def test_notes_go_to_standard_error(run: Runner, options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A fact that changes the tested rules is printed to standard error, for all reports and with --quiet too."""
    complete = run.answer
    note = "the case tc_x (--failing-case) passed, so the rules about failures could not be checked"
    run.answer = lambda **values: complete(**values, notes=(note,), stopped="the budget of 9 requests is used up")
    assert exit_code("verify", *HERE, *options) == 1
    lines = capsys.readouterr().err.splitlines()
    assert f"Note: {note}." in lines
    assert "Ended early: the budget of 9 requests is used up." in lines


def test_the_outcome_is_printed_whatever_the_report(run: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the text report, standard output still has the verdict and the exit status with its reason."""
    assert exit_code("verify", *HERE, "--report", "json") == 1
    rules, verdict, status = capsys.readouterr().out.splitlines()
    assert rules.startswith("Rules: ")
    assert verdict == "http://127.0.0.1:1: 1 rule violated, 1 rule different from an assumption."
    assert status == "Exit status 1: 1 rule is broken."
    assert run.asked


def test_a_file_with_a_slip(run: Runner, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown setting in the file is refused, with a suggestion."""
    (tmp_path / "contracts.toml").write_text("bugdet = 1")
    assert exit_code("verify", *HERE) == 2
    assert "unknown setting 'bugdet' in contracts.toml (did you mean 'budget'?)" in capsys.readouterr().err
    assert run.asked == {}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Unreachable(f"127.0.0.1:1 cannot be reached with {KEY}"), "cannot be reached with [key main]"),
        (BudgetExceeded("the budget is used up"), "the budget is used up"),
        (RuntimeError("oops"), "internal error: RuntimeError: oops ("),
    ],
)
def test_what_could_not_be_done(run: Runner, capsys: pytest.CaptureFixture[str], error: Exception, said: str) -> None:
    """An unreachable target and an internal error end with status 2 after one line without an API key."""

    def fail(**_: object) -> Verification:
        raise error

    run.answer = fail
    assert exit_code("verify", *HERE) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_interrupted_before_there_is_a_report(run: Runner) -> None:
    """An interruption before there is a report ends with status 130."""

    def interrupt(**_: object) -> Verification:
        raise KeyboardInterrupt

    run.answer = interrupt
    assert exit_code("verify", *HERE) == 130


@pytest.mark.parametrize(
    ("url", "flags", "profile"),
    [
        ("http://127.0.0.1:1", (), "full"),
        ("http://[::1]:1/v1", (), "full"),
        ("https://api.zof.ai/v1", (), "read-only"),
        ("https://api.zof.ai/v1", ("--profile", "full", "--i-may-create-runs"), "full"),
        ("http://127.0.0.1:1", ("--profile", "read-only"), "read-only"),
    ],
)
def test_profiles(run: Runner, url: str, flags: tuple[str, ...], profile: str) -> None:
    """The profile is full on loopback and read-only elsewhere, unless --profile names one."""
    exit_code("verify", "--url", url, "--key", KEY, *flags)
    assert run.asked["target"].profile == profile


def test_in_process(run: Runner) -> None:
    """--app calls an application in this process; its clock decides whether the quota may be used up."""
    exit_code("verify", "--app", "zof_emulator:create_app", "--key", ADMIN)
    target = run.asked["target"]
    assert target.app is not None
    assert target.quota is None


def test_the_quota_is_spared_on_demand(run: Runner) -> None:
    """--spare-quota forbids using up the quota, whatever the clock."""
    exit_code("verify", *HERE, "--spare-quota")
    assert run.asked["target"].quota is False


@pytest.mark.parametrize("key", KEYS)
def test_keys_go_by_one_name(key: str) -> None:
    """A script reads each API key from the variable that the option reads."""
    name = "key" if key == "main" else f"key_{key.replace('-', '_')}"
    assert next(str(option.envvar) for option in OPTIONS if option.name == name) == name_key_variable(key)


def test_a_password_in_the_address_is_printed_nowhere(run: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    """User name and password are dropped, with a note."""
    exit_code("verify", "--url", "HTTP://ann:s3cret@LOCALHOST:80/v1", "--key", KEY, "--report", "text")
    assert run.asked["target"].url == "http://localhost"
    out, err = capsys.readouterr()
    assert "note: the user name and password in --url were removed" in err
    assert "s3cret" not in out + err
