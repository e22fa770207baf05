"""Devices by name: what they reach at most, from files of figures beside this one, each figure with its source."""

from thoplw.estimate.devices.catalogue import device, devices
from thoplw.estimate.devices.hardware import DTYPES, Device, Source

__all__ = ["DTYPES", "Device", "Source", "device", "devices"]
