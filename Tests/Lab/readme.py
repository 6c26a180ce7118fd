# SPDX-License-Identifier: Apache-2.0
"""README.md's deployment as data: its steps with their code blocks, and its table of troubles."""

import re
from dataclasses import dataclass, field

from lab import ROOT

DEPLOYMENT = "## A real deployment"
TROUBLES = "### When it does not forward"


@dataclass
class Block:
    """A code block. `where` is its first line without the mark of a comment: "on each backend, as root"."""

    language: str
    text: str

    @property
    def where(self):
        first = self.text.splitlines()[0]
        return first.removeprefix("# ") if first.startswith("# on ") else ""


@dataclass
class Step:
    title: str
    prose: str = ""
    blocks: list = field(default_factory=list)

    @property
    def commands(self):
        """The commands of its prose."""
        return [words for words in re.findall(r"`([^`]+)`", self.prose) if words.startswith("sluice ")]


@dataclass
class Row:
    look_at: str
    says: str
    then: str

    def __str__(self):
        return f"{self.look_at or '…'} | {self.says}"

    @property
    def quoted(self):
        """The words of the middle column that stand there as the screen shows them."""
        return re.findall(r"`([^`]+)`", self.says)


def _section(heading):
    text = (ROOT / "README.md").read_text()
    assert text.count(f"\n{heading}\n") == 1, f"README.md has no section {heading!r}, or several"
    return re.split(r"\n#{2,3} ", text.split(f"\n{heading}\n")[1])[0]


def steps():
    """The numbered steps in their order."""
    found = []
    for part in re.split(r"\n(?=\*\*\d+\. )", _section(DEPLOYMENT))[1:]:
        title = re.match(r"\*\*(\d+\. [^*]+)\*\*", part)[1]
        blocks = [Block(*block) for block in re.findall(r"^```(\w+)\n(.*?)^```$", part, re.M | re.S)]
        found.append(Step(title, re.sub(r"^```.*?^```$", "", part, flags=re.M | re.S), blocks))
    assert [step.title.split(".")[0] for step in found] == [str(number + 1) for number in range(len(found))]
    return found


def troubles():
    """The table's rows; an empty first cell stands for the one above it."""
    rows, above = [], ""
    for line in _section(TROUBLES).splitlines():
        if not line.startswith("|") or set(line) <= set("|- "):
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert len(cells) == 3, f"a row of {len(cells)} cells: {line}"
        above = cells[0] or above
        rows.append(Row(above, *cells[1:]))
    assert rows[0].look_at == "look at", rows[0]
    return rows[1:]
