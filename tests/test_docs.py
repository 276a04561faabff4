"""Every Python block in the README runs and says what it claims."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_readme_example_runs(tmp_path, capsys):
    blocks = re.findall(r"```python\n(.*?)```", README.read_text("utf8"), re.S)
    assert len(blocks) == 1
    for block in blocks:
        exec(block, {"root": tmp_path})
    assert capsys.readouterr().out.strip() == f"{64 * 2 + 2} {12 * 64 + 64} torch.Size([200, 2])"
