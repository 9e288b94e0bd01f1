"""Mistakes in the options that name a target: each is one line and no finding about the target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from zof_contracts.cli.main import commands, main
from zof_contracts.cli.option_checks import check_variables, list_variables, read_keys
from zof_contracts.target.target import KEYS

if TYPE_CHECKING:
    from pathlib import Path

KEY: Final = "zof_secret_main_1"
HERE: Final = ("--url", "http://127.0.0.1:1", "--key", KEY)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*HERE, "--case", "tc_a", "--case", "tc_a"), "--case gives 'tc_a' twice: give each test case once"),
        ((*HERE, "--failing-case", "tc_a", "--error-case", "tc_a"), "--failing-case and --error-case both give 'tc_a'"),
        ((*HERE, "--key-expired", KEY), "--key and --key-expired give the same key: --key-expired needs another one"),
        ((*HERE, "--key-ci", "zof_key_2", "--key-readonly", "zof_key_2"), "--key-readonly and --key-ci give the same"),
        ((*HERE, "--key-ci", "bad key"), "invalid --key-ci: the key has 7 characters: use a key of at least 8"),
        ((*HERE, "--key-ci", "bad api key"), "invalid --key-ci: the key contains a space, a control character or"),
        ((*HERE, "--ca-file", "nowhere.pem"), "invalid --ca-file: cannot read certificates (PEM) from 'nowhere.pem'"),
        ((*HERE, "--ca-file", "file"), "from 'file': the file contains no certificate"),
        ((*HERE, "--webhook-public-url", "nope"), "invalid --webhook-public-url: the address must begin with http://"),
        (
            (*HERE, "--webhook-public-url", "https://me:word@tunnel.example"),
            "invalid --webhook-public-url: the address contains a user name or a password: remove it",
        ),
        (
            ("--key", KEY, "--url", "https://api.zof.ai", "--webhook-public-url", "http://tunnel.example"),
            "invalid --webhook-public-url: https://api.zof.ai sends webhooks to public https:// addresses only",
        ),
        (
            ("--key", KEY, "--url", "https://api.zof.ai", "--webhook-public-url", "https://127.0.0.1:9632"),
            "invalid --webhook-public-url: https://api.zof.ai sends webhooks to public https:// addresses only",
        ),
        (
            ("--key", KEY, "--app", "zof_emulator:Settings"),
            "--app zof_emulator:Settings gives no ASGI application, but a value of the type Settings",
        ),
        (
            ("--key", KEY, "--app", "collections:OrderedDict"),
            "--app collections:OrderedDict gives no ASGI application, but a value of the type OrderedDict",
        ),
    ],
)
def test_a_mistake_in_an_option_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    """The line names the option, and the exit status is 2."""
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(("verify", *arguments))
    out, err = capsys.readouterr()
    assert (ended.value.code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("zof-contracts: error: ")
    assert message in err


@pytest.mark.parametrize(
    ("flag", "value", "allowed"),
    [
        ("--budget", "ten", "a whole number of at least 1"),
        ("--budget", "0", "a whole number of at least 1"),
        ("--webhook-port", "70000", "a whole number from 0 to 65535"),
        ("--max-time", "0", "a number above 0"),
        ("--fail-under", "most", "a number from 0 to 100"),
    ],
)
def test_a_wrong_number_names_the_numbers_that_are_allowed(
    capsys: pytest.CaptureFixture[str], flag: str, value: str, allowed: str
) -> None:
    """The error names the option, the value and the bounds."""
    with pytest.raises(SystemExit):
        main(("verify", *HERE, flag, value))
    err = capsys.readouterr().err
    assert f"'{flag}'" in err
    assert err.endswith(f"'{value}': use {allowed}\n")


@pytest.mark.parametrize(
    "arguments", [("verify", *HERE), ("diff", *HERE), ("proxy", "--upstream", "http://127.0.0.1:1")]
)
def test_a_misspelled_variable_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    """A variable that begins as ours do, and that no command reads, ends the command with the similar name."""
    monkeypatch.setenv("ZOF_CONTRACTS_BUDGETT", "100")
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    line = "unknown environment variable ZOF_CONTRACTS_BUDGETT (did you mean 'ZOF_CONTRACTS_BUDGET'?)"
    assert (ended.value.code, capsys.readouterr().err) == (2, f"zof-contracts: error: {line}\n")


def test_an_unknown_key_variable_is_noted(capsys: pytest.CaptureFixture[str]) -> None:
    """A variable for a key may belong to another program, so it is only noted."""
    check_variables({"ZOF_API_KEY_OTHER": "zof_key_2", "ZOF_API_KEY_CI": "zof_key_3", "ZOF_API_KEY": KEY, "HOME": "/"})
    note = "environment variable ZOF_API_KEY_OTHER is not used (did you mean 'ZOF_API_KEY_OTHER_ORG'?)"
    assert capsys.readouterr().err == f"zof-contracts: note: {note}\n"


def test_every_variable_of_a_command_is_known() -> None:
    """The variables that are not refused are those of all commands."""
    params = [param for command in commands.commands.values() for param in command.params]
    assert list_variables() == {str(param.envvar) for param in params if param.envvar}


def test_one_key_may_lack_several_permissions() -> None:
    """A key that lacks several permissions can be given under each of their names."""
    options: dict[str, Any] = {f"key_{name.replace('-', '_')}": None for name in KEYS}
    options |= {"key": KEY, "key_readonly": "zof_key_2", "key_no_webhooks": "zof_key_2", "key_ci": "zof_key_3"}
    assert read_keys(options) == {"main": KEY, "readonly": "zof_key_2", "no-webhooks": "zof_key_2", "ci": "zof_key_3"}
