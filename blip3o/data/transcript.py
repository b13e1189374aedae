"""A conversation for people to read: who says what, pictures by their numbers."""

from blip3o.processing.conversation import Conversation, Picture


def transcript(conversation: Conversation) -> str:
    """A line for each turn; `[1]` stands where the first picture does, `->` before what a model learns to answer."""
    lines, number = [], 0
    for place, turn in enumerate(conversation):
        said = []
        for part in turn.content:
            number += isinstance(part, Picture)
            said.append(f"[{number}]" if isinstance(part, Picture) else part.strip())
        is_answer = place == len(conversation) - 1
        text = " ".join(filter(None, said)) or "(nothing)"
        lines.append(f"{'-> ' if is_answer else ''}{turn.role}: {text}")
    return "\n".join(lines)
