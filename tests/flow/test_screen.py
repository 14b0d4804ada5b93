"""What the driver shows of a dry run."""

from rich.console import Console

from lab.flow import screen
from lab.flow.snake import Event


def shown(steps: int) -> list[str]:
    console = Console(record=True, width=200, quiet=False, file=None)
    progress = screen.Progress([], {}, 1, console)
    events = [Event("start", f"finetune/run{n}", text=f"Missing output files: {'x' * 300}\nmore") for n in range(steps)]
    progress.watch(events, dry_run=True)
    progress.close("")
    return [line for line in console.export_text().splitlines() if line.startswith("  ")]


def test_published_scores_do_not_stand_beside_a_corpus_of_ones_own(tmp_path):
    (tmp_path / "board.csv").write_text("title,score,published\nUniBERT,0.5,0.886\n")
    for own in (False, True):
        console = Console(record=True, width=200)
        screen.scores(tmp_path / "board.csv", console, own=own)
        text = console.export_text()
        assert "UniBERT" in text and ("0.886" in text) != own and ("published" in text) != own


def test_a_dry_run_shows_some_steps_with_their_reasons_and_counts_the_others():
    few, many = shown(3), shown(40)
    assert [line.split()[0] for line in few] == [f"finetune/run{n}" for n in range(3)]
    assert all("Missing output files" in line and len(line) < 150 for line in few)
    assert len(many) == screen.REASONS + 1 and many[-1].strip() == f"and {40 - screen.REASONS} more"
