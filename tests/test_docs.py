"""Every Python block in the README runs and says what it claims."""

import re
from pathlib import Path

from networks import small_encoder, write_table

import headstart
from headstart.verbs.fit import Settings

README = Path(__file__).parents[1] / "README.md"


def test_the_readme_example_runs(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    source = small_encoder(tmp_path / "net")
    fit = headstart.fit
    # the example's network would have to be fetched: a small one stands for it
    monkeypatch.setattr(
        headstart, "fit", lambda data: fit(data, settings=Settings(source=source, depth=1)), raising=False
    )
    blocks = re.findall(r"```python\n(.*?)```", README.read_text("utf8"), re.S)
    assert len(blocks) == 1
    for block in blocks:
        exec(block, {"table": write_table(tmp_path / "films.csv")})
    lines = capsys.readouterr().out.strip().splitlines()
    assert [line.split()[0] for line in lines] == ["good", "bad"]
    assert (tmp_path / "films.skill" / "report.html").is_file()
