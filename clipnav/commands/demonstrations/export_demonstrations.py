"""Export frames and actions along walks, in the formats of vision-language models and of LeRobot.

$ clipnav export-demonstrations --split train --episodes 1000 --output data/llava
$ clipnav export-demonstrations --format lerobot --media video --workers 2 --output data/lerobot
$ clipnav export-demonstrations --policy runs/r2r-houses --teacher shortest    # DAgger
$ clipnav export-demonstrations --check data/llava

An interrupted export continues when the same command runs again. docs/demonstrations.md describes
the formats.
"""

from collections.abc import Sequence

from clipnav.agents.demonstrations.recording.settings import CONVERSATIONS, DemonstrationConfig
from clipnav.parsing import parse
from clipnav.storage.errors import pluralise


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, then export demonstrations or check an export."""
    config = parse(DemonstrationConfig, __name__, __doc__, arguments)
    # Imported here so that --help answers at once.
    from clipnav.agents.demonstrations.export import check_export, export_demonstrations

    if config.check is not None:
        print(check_export(config.check))
        return
    counts = export_demonstrations(config)["counts"]
    left_out = ""
    if counts["truncated"] and config.format not in CONVERSATIONS:
        left_out = f", without {pluralise(counts['truncated'], 'walk')} that did not stop"
    sources = ", ".join(f"{n} by the {name}" for name, n in counts["steps_by_source"].items())
    print(
        f"{pluralise(counts['episodes'], 'episode')} ({counts['successes']} successful), "
        f"{pluralise(counts['steps'], 'step')} ({sources}){left_out}: {config.output}"
    )
