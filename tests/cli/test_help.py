"""The help of the commands: groups, one line an option, examples last, and colours."""

from __future__ import annotations

import io

import pytest
from typer.main import get_command

from convcli.cli import help as helps
from convcli.cli.app import COMMANDS, app_for

# A row that is longer: seven methods do not fit.
LONG = {("bank", "--method")}


def declared(name):
    return get_command(app_for([name])).commands[name]


def options(name):
    return [each for each in declared(name).params if each.param_type_name == "option"]


@pytest.fixture
def text_of(run, monkeypatch):
    def text_of(*words, columns=80):
        monkeypatch.setenv("COLUMNS", str(columns))
        return run(*words, "--help").text

    return text_of


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_a_line_of_80_columns(text_of, name):
    lines = text_of(name).splitlines()
    assert max(map(len, lines)) <= 80
    assert "{" not in lines[0]  # Typer's sign of an argument that is required
    for option in options(name):
        if (name, option.opts[-1]) not in LONG:
            row = f"  {helps.names(option)} ", helps.meaning(option)
            assert any(each.startswith(row[0]) and each.endswith(row[1]) for each in lines), row


def test_the_groups_are_in_order_and_the_examples_last(text_of):
    text = text_of("blur")
    titles = ["Arguments", "Options", helps.FILES, helps.PART, helps.COLOUR, helps.SPEED]
    titles += [helps.REPORTING, "Examples"]
    found = [line[:-1] for line in text.splitlines() if line[:1].strip() and line.endswith(":")]
    assert [each for each in found if each in titles] == titles
    assert text.index("--sigma S") < text.index("--border B") < text.index(f"{helps.FILES}:")
    assert text.splitlines()[-1].startswith("  convcli blur ")


@pytest.mark.parametrize("name", ["blur", "kernel", ""])
def test_a_narrow_terminal_breaks_between_words(text_of, name):
    wide, narrow = (text_of(*name.split(), columns=columns) for columns in (80, 60))
    assert wide.split() == narrow.split()
    before = narrow.partition("\nExamples:")[0]  # examples are left as they are typed
    assert max(map(len, before.splitlines())) <= 60


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_its_own_examples(name):
    text, examples = helps.texts(declared(name))
    assert len(text.partition("\n")[0]) <= 62
    assert len(examples) >= 2
    assert all(f"convcli {name} " in each for each in examples)


@pytest.mark.parametrize(
    ("is_terminal", "variables", "coloured"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(monkeypatch, is_terminal, variables, coloured):
    class Stream(io.StringIO):
        def isatty(self):
            return is_terminal

    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in {"TERM": "xterm", **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout", stream := Stream())
    with pytest.raises(SystemExit):
        app_for(["--help"])(["blur", "--help"])
    assert ("\x1b[36m--radius R" in stream.getvalue()) == coloured
    assert ("\x1b" in stream.getvalue()) == coloured
