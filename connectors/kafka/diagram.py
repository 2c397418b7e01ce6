"""The topic map as a Mermaid flow diagram, for the README and the docs."""

from collections.abc import Collection, Iterable

from schemas.topics import TOPICS, Topic

ASIDE = frozenset({"sinks", "operators", "outside", "alerts", "feedback", "replay", "every process"})
"""Readers that only look; the diagram of the walk leaves them out."""


def flow_diagram(topics: Iterable[Topic] = TOPICS, leave_out: Collection[str] = ASIDE) -> str:
    """Mermaid text: roles as boxes, topics as drums, in the order of the map. A topic that nobody reads is left out."""
    roles: dict[str, None] = {}
    drums: list[str] = []
    arrows: list[str] = []
    for topic in topics:
        readers = [role for role in topic.readers if role not in leave_out]
        if not readers:
            continue
        writers = [role for role in topic.writers if role not in leave_out]
        roles |= dict.fromkeys((*writers, *readers))
        drums.append(f"    {_topic(topic.name)}[({topic.name})]")
        arrows += [f"    {_role(role)} --> {_topic(topic.name)}" for role in writers]
        arrows += [f"    {_topic(topic.name)} --> {_role(role)}" for role in readers]
    boxes = [f"    {_role(role)}[{role.replace('_', ' ')}]" for role in roles]
    return "\n".join(["flowchart LR", *boxes, *drums, *arrows]) + "\n"


def topic_table(topics: Iterable[Topic] = TOPICS) -> str:
    """The map as a Markdown table, broadcast records marked with a star."""
    lines = ["| topic | key | written by | read by | records (* = to every partition) |", "|---|---|---|---|---|"]
    for topic in topics:
        records = ", ".join(f"`{one.__name__}`{'*' if one in topic.broadcast else ''}" for one in topic.records)
        lines.append(
            f"| `{topic.name}` | {topic.key} | {', '.join(topic.writers)} | {', '.join(topic.readers)} | {records} |"
        )
    return "\n".join(lines) + "\n"


def _topic(name: str) -> str:
    """A topic's id in the diagram; a role may have the same name."""
    return "topic_" + name.replace(".", "_")


def _role(name: str) -> str:
    return "role_" + name.replace(" ", "_")
