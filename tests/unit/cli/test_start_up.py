"""Help and completion are typed all day: they import no more than they show."""

import subprocess
import sys

HEAVY = ("asyncio", "msgspec", "sqlite3", "yaml", "holdfast.config", "holdfast.loop", "holdfast.journal")


def test_help_and_completion_import_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from holdfast.cli.main import main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0\n"
        "env = {'_HOLDFAST_COMPLETE': 'zsh_complete', 'COMP_WORDS': 'holdfast s', 'COMP_CWORD': '1'}\n"
        "told = CliRunner().invoke(main, env=env, prog_name='holdfast').output\n"
        "assert 'switchover' in told, told\n"
        "print('\\n'.join(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    imported = set(done.stdout.split())
    assert imported.isdisjoint(HEAVY), imported & set(HEAVY)


def test_the_program_can_be_run_as_a_module() -> None:
    command = [sys.executable, "-m", "holdfast.cli.main", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("holdfast ")
