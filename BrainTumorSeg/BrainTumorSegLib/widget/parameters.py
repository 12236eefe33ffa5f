"""Every choice of the panel, kept in the scene's parameter node and bound to the widgets of the .ui by name."""

from __future__ import annotations

import enum
from typing import Annotated

import slicer
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from BrainTumorSegLib.engine.settings import MIN_VOLUME, THRESHOLD
from BrainTumorSegLib.jobs.settings import JobSettings
from BrainTumorSegLib.scene.liveThreshold import Limits


class Device(enum.Enum):
    """What computes; the value is the engine's word."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"

    def label(self) -> str:
        """What the combo box shows."""
        return {
            Device.AUTO: _("Automatic"),
            Device.CPU: _("Processor (CPU)"),
            Device.CUDA: _("NVIDIA graphics card (CUDA)"),
            Device.MPS: _("Apple graphics (MPS)"),
        }[self]


class RegistrationChoice(enum.Enum):
    """Whether T1 volumes are registered to FLAIR; the value is the engine's word."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"

    def label(self) -> str:
        """What the combo box shows."""
        return {
            RegistrationChoice.AUTO: _("Where they lie badly"),
            RegistrationChoice.ON: _("Always"),
            RegistrationChoice.OFF: _("Never"),
        }[self]


@parameterNodeWrapper
class BrainTumorSegParameterNode:
    """The panel's state.

    model: name in the index, "" for the recommended one. recommended: take threshold and minimumVolume_ml from the
    model instead of from here.
    """

    flair: vtkMRMLScalarVolumeNode
    t1: vtkMRMLScalarVolumeNode
    t1c: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode
    model: str = ""
    device: Device = Device.AUTO
    gate: bool = True
    recommended: bool = True
    threshold: Annotated[float, WithinRange(*THRESHOLD.in_panel)] = 0.5
    minimumVolume_ml: Annotated[float, WithinRange(*MIN_VOLUME.in_panel)] = 0.1
    testTimeAugmentation: bool = True
    registration: RegistrationChoice = RegistrationChoice.AUTO
    keepProbability: bool = False


def jobSettings(parameters: BrainTumorSegParameterNode) -> JobSettings:
    """What the engine is asked for by the panel's present state."""
    return JobSettings(
        model=parameters.model or None,
        device=parameters.device.value,
        gate=None if parameters.gate else 0.0,
        threshold=None if parameters.recommended else parameters.threshold,
        min_volume_ml=None if parameters.recommended else parameters.minimumVolume_ml,
        tta=parameters.testTimeAugmentation,
        register=parameters.registration.value,
        keepProbability=parameters.keepProbability,
    )


def setLimits(parameters: BrainTumorSegParameterNode, limits: Limits, recommended: bool) -> None:
    """Set threshold and smallest lesion at once, so that nobody sees one without the other."""
    with slicer.util.NodeModify(parameters.parameterNode):  # type: ignore[attr-defined] # the wrapper adds it
        parameters.recommended = recommended
        parameters.threshold, parameters.minimumVolume_ml = limits.threshold, limits.minimumVolume_ml
