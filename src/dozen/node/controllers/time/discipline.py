"""What to do about a clock that is wrong: step it, slew it, or wait for a second opinion.

The first measurement of a boot is believed whatever it says: the hardware clock may have been off for years, and a
jump now harms nobody. Later a large error is more likely a mistake of the server or of the network (a *spike*) than of
our clock: it must be measured several times in a row before the clock jumps. A small error is always slewed.
"""

from __future__ import annotations

from collections.abc import Iterable

from dozen.machinery.effects.time import SlewClock, StepClock
from dozen.machinery.plan import Effect, Input, Put, Step, View
from dozen.machinery.resources.clock import (
    CLOCK_ADJUSTMENT,
    CLOCK_PATIENCE,
    TIME_MEASUREMENT,
    ClockAdjustment,
    TimeMeasurement,
)
from dozen.machinery.resources.settings import TIME, TIME_SETTINGS
from dozen.machinery.resources.time import NTP_STATUS, TIME_STATUS, NTPStatusSpec, TimeStatusSpec

NODE, LAST = "node", "last"
SLEW_LIMIT = 0.5  # seconds: all that the kernel can work off, at 500 ppm in a quarter of an hour
SPIKES = 3  # large errors in a row that are believed


class ClockController:
    """TimeMeasurement + TimeSettings → the clock is adjusted, once for each measurement → TimeStatus."""

    name = "time-clock"
    inputs = (Input(TIME_MEASUREMENT), Input(TIME_SETTINGS), Input(CLOCK_PATIENCE))
    outputs = (TIME_STATUS, NTP_STATUS, CLOCK_ADJUSTMENT)

    def __init__(self, managed: bool = True) -> None:
        self._managed = managed

    def plan(self, view: View) -> Iterable[Step]:
        settings = view.get(TIME_SETTINGS, TIME)
        if not self._managed or (settings is not None and not settings.spec.enabled):
            yield Put(TIME_STATUS, NODE, TimeStatusSpec(synced=True, sync_disabled=True))
            return
        measured, before = view.get(TIME_MEASUREMENT, LAST), view.get(CLOCK_ADJUSTMENT, LAST)
        done = before.spec if before else ClockAdjustment()
        if measured is not None and measured.spec.number != done.number:
            done = decide(measured.spec, done)
            yield from _effect(done)
        if done.number:
            yield Put(CLOCK_ADJUSTMENT, LAST, done)
            spikes = NTPStatusSpec(spike_detected=done.spikes > 0, consecutive_spikes=done.spikes)
            yield Put(NTP_STATUS, NODE, spikes)
        # After long enough a clock that nobody has compared has to do; it is put right when somebody answers.
        synced = done.number > 0 or bool(view.list(CLOCK_PATIENCE))
        yield Put(TIME_STATUS, NODE, TimeStatusSpec(synced=synced, epoch=done.steps))


def decide(measured: TimeMeasurement, before: ClockAdjustment) -> ClockAdjustment:
    """What a measurement leads to, after what the one before it led to."""
    number, offset = measured.number, measured.offset
    if abs(offset) <= SLEW_LIMIT:
        return ClockAdjustment(number=number, action="slew", offset=offset, steps=before.steps)
    spikes = before.spikes + 1
    if before.number and spikes < SPIKES:
        return ClockAdjustment(number=number, offset=offset, steps=before.steps, spikes=spikes)
    return ClockAdjustment(number=number, action="step", offset=offset, steps=before.steps + 1)


def _effect(adjustment: ClockAdjustment) -> Iterable[Effect]:
    if adjustment.action == "step":
        yield StepClock(adjustment.offset)
    elif adjustment.action == "slew":
        yield SlewClock(adjustment.offset)
