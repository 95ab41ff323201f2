"""One screen about one node: what is drawn on the machine's own console and by ``dozenctl dashboard``.

Pure: `draw` takes the figures of a moment and a size and gives lines; who calls it gets the figures (from files on
the node, over the API elsewhere) and puts the lines on a terminal. Colours are plain ANSI attributes that every
console knows. What comes from outside is stripped of control characters, so that no log line can steer a terminal.
"""

from __future__ import annotations

from dataclasses import dataclass, field

RESET, BOLD, DIM, INVERSE = "\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[7m"
RED, GREEN, YELLOW, CYAN = "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m"
LEAST_WIDTH, LEAST_HEIGHT = 40, 12
_BAR = 14


@dataclass(frozen=True, slots=True)
class ServiceLine:
    """``health``: True, False, or None when nothing is known."""

    id: str
    state: str
    health: bool | None = None


@dataclass(frozen=True, slots=True)
class ProcessLine:
    """``cpu`` is a share of one processor, ``memory`` resident bytes."""

    pid: int
    cpu: float
    memory: int
    command: str


@dataclass(frozen=True, slots=True)
class Figures:
    """All that the screen shows. Sizes in bytes, rates in bytes a second, shares from 0 to 1, None for not known."""

    hostname: str = ""
    version: str = ""
    stage: str = ""
    ready: bool = False
    unmet: tuple[str, ...] = ()
    uptime: float | None = None
    machine_type: str = ""
    addresses: tuple[str, ...] = ()
    gateway: str = ""
    resolvers: tuple[str, ...] = ()
    time_synced: bool | None = None
    processors: int = 0
    frequency: float | None = None
    cpu: float | None = None
    load: tuple[float, ...] = ()
    memory_total: int = 0
    memory_available: int = 0
    received: float | None = None
    sent: float | None = None
    disk_read: float | None = None
    disk_written: float | None = None
    process_count: int = 0
    services: tuple[ServiceLine, ...] = ()
    processes: tuple[ProcessLine, ...] = ()
    log: tuple[str, ...] = field(default=(), repr=False)
    note: str = ""


def draw(figures: Figures, width: int, height: int) -> list[str]:
    """Exactly ``height`` lines of at most ``width`` columns each."""
    width, rows = max(width, LEAST_WIDTH), max(height, LEAST_HEIGHT)
    lines = [_title(figures, width), *_facts(figures, width)]
    left = [f"{BOLD}SERVICES{RESET}", *map(_service, figures.services)]
    right = [f"{BOLD}{'PID':>7} {'CPU':>5} {'MEMORY':>8}  PROCESS{RESET}", *map(_process, figures.processes)]
    wanted = max(len(left), min(len(right), 12))
    space = max(3, min(wanted, (rows - len(lines) - 3) * 2 // 3))
    lines += [_rule(width), *_side_by_side(left[:space], right[:space], width)]
    lines.append(_rule(width, "LOG"))
    room = max(0, rows - len(lines) - 1)
    log = [clean(line) for line in figures.log[-room:]] if room else []
    lines += [fit(line, width) for line in log]
    lines += [""] * (room - len(log))
    lines.append(fit(f"{DIM}{clean(figures.note)}{RESET}", width))
    return lines[:height]


def clean(text: str) -> str:
    """Printable characters only; a tab becomes a space."""
    return "".join(char if char.isprintable() else " " for char in text)


def visible(text: str) -> int:
    """Columns that a text takes, attributes aside."""
    count, inside = 0, False
    for char in text:
        if char == "\x1b":
            inside = True
        elif inside:
            inside = char != "m"
        else:
            count += 1
    return count


def fit(text: str, width: int) -> str:
    """At most ``width`` columns; what is cut ends with attributes reset."""
    if visible(text) <= width:
        return text
    shown, count, inside = "", 0, False
    for char in text:
        if char == "\x1b":
            inside = True
        elif inside:
            inside = char != "m"
        elif count == width - 1:
            return shown + RESET + "…"
        else:
            count += 1
        shown += char
    return shown


def pad(text: str, width: int) -> str:
    text = fit(text, width)
    return text + " " * (width - visible(text))


def human(count: float) -> str:
    """A size in at most five characters and a unit (powers of 1024)."""
    for unit in ("B", "K", "M", "G", "T"):
        if count < 1000 or unit == "T":
            return f"{count:.0f}{unit}" if unit == "B" or count >= 100 else f"{count:.1f}{unit}"
        count /= 1024
    raise AssertionError("the last unit returns")


def duration(seconds: float) -> str:
    whole = int(seconds)
    days, clock = divmod(whole, 86400)
    text = f"{clock // 3600:02}:{clock // 60 % 60:02}:{clock % 60:02}"
    return f"{days}d {text}" if days else text


def bar(share: float, width: int = _BAR) -> str:
    full = round(max(0.0, min(1.0, share)) * width)
    colour = RED if share > 0.9 else YELLOW if share > 0.7 else GREEN
    return f"{colour}{'█' * full}{RESET}{DIM}{'░' * (width - full)}{RESET}"


def _title(figures: Figures, width: int) -> str:
    parts = [clean(figures.hostname) or "(no name yet)", clean(figures.version), figures.machine_type]
    if figures.uptime is not None:
        parts.append(f"up {duration(figures.uptime)}")
    left = " " + "  ".join(part for part in parts if part)
    right = f"{figures.stage or 'unknown'}{', ready' if figures.ready else ''} "
    middle = " " * max(1, width - len(left) - len(right))
    return f"{INVERSE}{(left + middle + right)[:width]}{RESET}"


def _facts(figures: Figures, width: int) -> list[str]:
    half = width // 2
    used = figures.memory_total - figures.memory_available
    share = used / figures.memory_total if figures.memory_total else 0.0
    load = " ".join(f"{value:.2f}" for value in figures.load)
    synced = {True: f"{GREEN}in sync{RESET}", False: f"{YELLOW}not in sync{RESET}", None: "unknown"}
    clock = f" at {figures.frequency / 1e9:.1f} GHz" if figures.frequency else ""
    cpu = f"{bar(figures.cpu)} {figures.cpu:4.0%}" if figures.cpu is not None else "…"
    pairs = (
        (
            _fact("CPU", f"{cpu} of {figures.processors}{clock}   load {load}"),
            _fact("ADDRESS", clean(", ".join(figures.addresses)) or f"{YELLOW}none yet{RESET}"),
        ),
        (
            _fact("MEMORY", f"{bar(share)} {human(used)} of {human(figures.memory_total)}"),
            _fact("GATEWAY", f"{clean(figures.gateway) or '-'}   DNS {clean(', '.join(figures.resolvers)) or '-'}"),
        ),
        (
            _fact("NETWORK", f"{_rate(figures.received)} in   {_rate(figures.sent)} out"),
            _fact("TIME", f"{synced[figures.time_synced]}   {figures.process_count} processes"),
        ),
        (
            _fact("DISK", f"{_rate(figures.disk_read)} read   {_rate(figures.disk_written)} written"),
            _fact("WAITS FOR", f"{YELLOW}{clean(', '.join(figures.unmet))}{RESET}") if figures.unmet else "",
        ),
    )
    return [pad(left, half) + fit(right, width - half) for left, right in pairs]


def _fact(name: str, text: str) -> str:
    return f" {CYAN}{name:<9}{RESET} {text}"


def _rate(value: float | None) -> str:
    return "…" if value is None else f"{human(value)}/s"


def _rule(width: int, name: str = "") -> str:
    label = f"── {name} " if name else ""
    return f"{DIM}{label}{'─' * (width - len(label))}{RESET}"


def _service(line: ServiceLine) -> str:
    colour = {"Running": GREEN, "Finished": DIM, "Skipped": DIM, "Failed": RED}.get(line.state, YELLOW)
    health = {True: f"{GREEN}OK{RESET}", False: f"{RED}Fail{RESET}", None: "?"}[line.health]
    return f" {pad(clean(line.id), 14)} {colour}{line.state:<12}{RESET} {health}"


def _process(line: ProcessLine) -> str:
    return f"{line.pid:>7} {line.cpu:>5.0%} {human(line.memory):>8}  {clean(line.command)}"


def _side_by_side(left: list[str], right: list[str], width: int) -> list[str]:
    column = min(36, width // 2)
    count = max(len(left), len(right))
    left, right = left + [""] * (count - len(left)), right + [""] * (count - len(right))
    return [pad(first, column) + fit(second, width - column) for first, second in zip(left, right, strict=True)]
